#!/usr/bin/env bash
# duckdb 1.5.5: a Parquet column of integers in byte streams, as pyarrow 26.0.0 writes it on request, cannot be read.
#
# Parquet allows BYTE_STREAM_SPLIT for integers since format 2.11. pyarrow writes and reads it for INT32 and INT64;
# DuckDB reads the same values as DOUBLE or with another encoding, and refuses the integers by an error at the first
# query that touches the column. Codes of a codec compress well that way, so a lake that several engines read needs
# dictionaries instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==1.5.5 pyarrow==26.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

print("duckdb", duckdb.__version__, "pyarrow", pa.__version__)
values = [number * 37 % 1024 for number in range(4096)]
read = {}
for kind in (pa.int16(), pa.int32(), pa.int64(), pa.float64()):
    table = pa.table({"codes": pa.array(values, kind)})
    for encoding in ("PLAIN", "BYTE_STREAM_SPLIT"):
        pq.write_table(table, "codes.parquet", use_dictionary=False, column_encoding={"codes": encoding})
        assert pq.read_table("codes.parquet").equals(table)
        try:
            (total,) = duckdb.sql("SELECT sum(codes) FROM 'codes.parquet'").fetchone()
            read[f"{kind} {encoding}"] = total == sum(values)
        except duckdb.Error as error:
            read[f"{kind} {encoding}"] = False
            print(f"{kind} {encoding}: {type(error).__name__}: {error}")
print(read)
refused = [name for name, is_read in read.items() if not is_read]
assert refused == [f"{kind} BYTE_STREAM_SPLIT" for kind in ("int16", "int32", "int64")], "other columns are refused now"
PYTHON
