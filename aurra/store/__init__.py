"""The only place with SQL: named queries in <noun>.sql, functions over them in <noun>.py, the pool, the migrations."""
