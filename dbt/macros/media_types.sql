{#- The channels that the API guide names, in lower case. The server may send others. -#}
{% macro media_types() -%}
    {{ return([
        'call', 'chat', 'email', 'facebook', 'facebooksession', 'openmedia', 'smssession',
        'twitter', 'workitem'
    ]) }}
{%- endmacro %}
