"""Display filters: Wireshark's habits over the columns, compiled to parameterised SQL."""

from workbench.errors import FilterError
from workbench.filters.compiler import Filter, compile_filter
from workbench.filters.completion import Completion, ValueSource, complete
from workbench.filters.shown import shown_sql

__all__ = ["Completion", "Filter", "FilterError", "ValueSource", "compile_filter", "complete", "shown_sql"]
