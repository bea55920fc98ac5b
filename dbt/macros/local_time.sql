{#-
    The zone that analysts' days and hours are cut in, a constant in the SQL: the variable
    business_timezone, or HISTORY_BUSINESS_TIMEZONE, or the server's.
-#}
{% macro business_timezone() -%}
    {{ return(var('business_timezone', none)
        or env_var('HISTORY_BUSINESS_TIMEZONE', '')
        or server_timezone()) }}
{%- endmacro %}

{#- The zone that the server cuts days in, as configured, or as the newest run was told. -#}
{% macro server_timezone() -%}
    {%- set zone = var('server_timezone', none) or env_var('GWS_TIMEZONE', '') -%}
    {%- if not zone and execute -%}
        {%- set newest = run_query(
            'select arg_max(server_timezone, started_at) from raw_gws.run_scopes'
        ) -%}
        {%- set zone = newest.columns[0].values()[0] -%}
    {%- endif -%}
    {{ return(zone or 'UTC') }}
{%- endmacro %}

{#- An instant as local time, without zone. -#}
{% macro local_time(instant, zone=none) -%}
    timezone('{{ zone or business_timezone() }}', {{ instant }})
{%- endmacro %}

{#- The local day that an instant falls on. -#}
{% macro local_day(instant, zone=none) -%}
    cast({{ local_time(instant, zone) }} as date)
{%- endmacro %}

{#-
    The instant at which a local day begins: when the clock first shows it. Where clocks go back
    over midnight, it shows 0:00 twice, and DuckDB takes the second.
-#}
{% macro day_start(day, zone) -%}
    {%- set midnight = "timezone('" ~ zone ~ "', cast(" ~ day ~ " as timestamp))" -%}
    case
        when cast({{ local_time(midnight ~ ' - interval 1 hour', zone) }} as date) = {{ day }}
            then {{ midnight }} - interval 1 hour
        else {{ midnight }}
    end
{%- endmacro %}

{#- The instant at which a day of the server begins. -#}
{% macro server_day_start(day) -%}
    {{ day_start(day, server_timezone()) }}
{%- endmacro %}
