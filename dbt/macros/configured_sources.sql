{#- The sources that the site asks. -#}
{% macro configured_sources() -%}
    {{ return((env_var('HISTORY_SOURCES', '') or 'main,archive').replace(' ', '').split(',')) }}
{%- endmacro %}
