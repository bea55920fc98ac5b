{#-
    The attributes that become columns of interaction_attributes_wide: a list of {name, column}.
    DuckDB's column names ignore case and attribute names do not, so names that would share a
    column are numbered, in the order of the configuration: one that is added at its end changes
    no other's column.
-#}
{% macro attribute_columns() -%}
    {%- set names = fromjson(
        env_var('HISTORY_ATTRIBUTE_COLUMNS', '') or env_var('HISTORY_CUSTOM_ATTRIBUTES', ''), []
    ) or [] -%}
    {%- set reserved = [] -%}
    {%- if execute and names -%}
        {%- set reserved = run_query(
            "select keyword_name from duckdb_keywords() where keyword_category <> 'unreserved'"
        ).columns[0].values() -%}
    {%- endif -%}
    {%- set taken = ['interaction_id'] -%}
    {%- set columns = [] -%}
    {%- for name in names | unique(case_sensitive=true) -%}
        {%- set safe = modules.re.sub('\\W+', '_', name.lower()).strip('_') -%}
        {%- if not safe or safe[0].isdigit() -%}
            {%- set safe = ('attribute_' ~ safe).rstrip('_') -%}
        {%- elif safe in reserved -%}
            {%- set safe = safe ~ '_' -%}
        {%- endif -%}
        {%- set found = namespace(column=safe, number=1) -%}
        {%- for _ in taken -%}
            {%- if found.column in taken -%}
                {%- set found.number = found.number + 1 -%}
                {%- set found.column = safe.rstrip('_') ~ '_' ~ found.number -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do taken.append(found.column) -%}
        {%- do columns.append({'name': name, 'column': found.column}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{#- Text as an SQL literal. -#}
{% macro literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}
