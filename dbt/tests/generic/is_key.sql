{#-
    Fails with a row for each value of the key that occurs twice or has a null in it: unique and
    not_null in one pass, for keys of one column and of several.
-#}
{% test is_key(model, columns) %}
{{ config(meta={"description": "No key occurs twice, and none has a null in it."}) }}

select
    {{ columns | join(',\n    ') }},
    count(*) as rows_with_this_key
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {%- for column in columns %}
    or {{ column }} is null
    {%- endfor %}

{% endtest %}
