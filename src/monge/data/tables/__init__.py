"""Tables: from the columns of a file to rows of numbers with ordered classes, in three parts."""

from monge.data.tables.encoding import TableEncoding as TableEncoding
from monge.data.tables.load import load_table as load_table
from monge.data.tables.own import load_own_table as load_own_table
from monge.data.tables.table_set import TableSet as TableSet

__all__ = ["TableEncoding", "TableSet", "load_own_table", "load_table"]
