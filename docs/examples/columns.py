"""The columns of all results as Markdown tables; docs/results.md embeds this output.

Covers: accelsim.results.columns.
"""

from accelsim.results.columns import BOUNDS, COLUMNS, STATUS, kind, unit

for frame, columns in COLUMNS.items():
    print(f"### run.{frame}\n")
    print("| column | unit | cells | meaning |")
    print("|---|---|---|---|")
    for column, meaning in columns.items():
        print(f"| `{column}` | {unit(column)} | {kind(frame, column)} | {meaning.replace('|', 'a bar')} |")
    print()
print(f"Words of `bound`: {', '.join(BOUNDS)}.")
print(f"Words of `status`, best first: {', '.join(STATUS)}.")
