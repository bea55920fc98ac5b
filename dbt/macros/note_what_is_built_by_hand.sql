{#-
    The pipeline knows which models, with which settings, the tables come from; of what somebody
    builds by hand it does not, and builds everything anew before it publishes.
-#}
{% macro note_what_is_built_by_hand() -%}
    {%- if flags.WHICH in ('build', 'run') and not env_var('HISTORY_BUILT_BY_PIPELINE', '') -%}
        update raw_gws.load_state set modelled_as = null
    {%- endif -%}
{%- endmacro %}
