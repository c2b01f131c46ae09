"""Random traces of AiM host instructions, the same on every machine: their cycles by the public simulator are known."""

from __future__ import annotations

MASKS = ("0xffffffff", "0x1", "0x80000000", "0xf", "0xf0f0", "0x80000001")
SINGLE = ("0x1", "0x80000000", "0x10")
SIZES = (1, 2, 3, 16, 32, 33, 34, 35, 64)
ROWS, BANKS = (0, 1, 2, 5), (0, 1, 2, 4, 5, 15)
IN_ORDER = (
    "WR_GB", "WR_BIAS", "RD_MAC", "RD_AF", "COPY_BKGB", "COPY_GBBK", "MAC_SBK", "MAC_ABK", "AF", "EWMUL", "EWADD",
    "SYNC", "WR_ABK",
)  # fmt: skip
PLAIN = ("WR_SBK", "RD_SBK", "R MEM", "W MEM")


class Draw:
    """A linear congruential generator (Knuth's MMIX constants): no library may change what it draws."""

    def __init__(self, seed: int) -> None:
        self.state = seed * 2 + 1

    def below(self, n: int) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n

    def one_of(self, items):
        return items[self.below(len(items))]


def trace(seed: int) -> str:
    """Odd seeds mix in ordinary reads and writes."""
    draw = Draw(seed)
    names = IN_ORDER + ((*PLAIN, *PLAIN, "CFR", "GPR") if seed % 2 else ())
    names = [draw.one_of(names) for _ in range(1 + draw.below(len(names)))]
    mask, bank, row, lines = draw.one_of(MASKS), draw.one_of(BANKS), draw.one_of(ROWS), []
    for _ in range(1 + draw.below(60)):
        name = draw.one_of(names)
        mask = draw.one_of(MASKS) if draw.below(3) == 0 else mask
        row = draw.one_of(ROWS) if draw.below(3) == 0 else row
        size = draw.one_of(SIZES)
        for _ in range(draw.one_of((1, 1, 1, 2, 5, 40)) if name in (*PLAIN, "WR_BIAS") else 1):
            bank = draw.one_of(BANKS) if draw.below(3) == 0 else bank
            lines.append({
                "WR_GB": f"AiM WR_GB {size} 0 {mask}",
                "WR_BIAS": f"AiM WR_BIAS 0 {mask}",
                "RD_MAC": f"AiM RD_MAC 0 {mask}",
                "RD_AF": f"AiM RD_AF 0 {mask}",
                "COPY_BKGB": f"AiM COPY_BKGB {size} {mask} {bank} {row}",
                "COPY_GBBK": f"AiM COPY_GBBK {size} {mask} {bank} {row}",
                "MAC_SBK": f"AiM MAC_SBK {size} {mask} {bank} {row}",
                "MAC_ABK": f"AiM MAC_ABK {size} {mask} {row}",
                "AF": f"AiM AF {mask}",
                "EWMUL": f"AiM EWMUL {size} {mask} {row}",
                "EWADD": f"AiM EWADD {size} 0 1",
                "SYNC": "AiM SYNC",
                "WR_ABK": f"AiM WR_ABK 0 {draw.one_of(SINGLE)} {row}",
                "WR_SBK": f"AiM WR_SBK 0 {mask} {bank} {row}",
                "RD_SBK": f"AiM RD_SBK 0 {mask} {bank} {row}",
                "R MEM": f"R MEM {draw.one_of((0, 31, 1))} {bank} {row}",
                "W MEM": f"W MEM {draw.one_of((0, 31, 1))} {bank} {row}",
                "CFR": f"W CFR 2 {draw.below(3)}",
                "GPR": "W GPR 3",
            }[name])  # fmt: skip
    return "\n".join([*lines, "AiM EOC", ""])
