"""Dot products, matrix products and single operations on exact values, with a stated accumulator."""

from accelsim.numerics.arithmetic.operand import Operand, column, operand, row
from accelsim.numerics.arithmetic.product import Product, fused_sum, matmul, numbers

__all__ = ["Operand", "Product", "column", "fused_sum", "matmul", "numbers", "operand", "row"]
