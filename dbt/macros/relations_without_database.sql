{#-
    The warehouse is published by copying its file under another name, and DuckDB names a
    database after its file. A view that said "warehouse"."raw_gws"."interactions" would be
    broken in the copy; one that says "raw_gws"."interactions" works under every name.
-#}
{% macro ref() -%}
    {% do return(builtins.ref(*varargs, **kwargs).include(database=false)) %}
{%- endmacro %}

{% macro source() -%}
    {% do return(builtins.source(*varargs, **kwargs).include(database=false)) %}
{%- endmacro %}
