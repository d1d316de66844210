"""Operations now: the centre at this moment, from Prometheus."""

from .prometheus import *


TO_PLAN = board_link("Plan and schedule", "callpulse-plan-and-schedule", "queue", "channel")
TO_VOICE = board_link("Voice of the customer", "callpulse-voice-of-the-customer", "queue", "channel")
TO_AGENTS = board_link("Agents", "callpulse-agents")
TO_ALERTS = link("The alerts", "${callpulse_url:raw}/alerts")


def fleet(gauge, by=""):
    """A gauge of the plan: every instance looks up the same one, so that it is taken once and not added up."""
    return f"sum{by} (max by (queue, channel) (callpulse_{gauge}<Q>))"


def board():
    def both(make):
        return make(BY_QUEUE)

    per_queue = [
        ("Waiting", f"sum{BY_QUEUE} (callpulse_legs_waiting<Q>)", "short", rising(5, 20)),
        ("Longest wait", longest_wait(BY_QUEUE), "s", rising(60, 180)),
        ("Handled now", f"sum{BY_QUEUE} (callpulse_handlings_active<Q>)", "short", NEUTRAL),
        ("Offered in slot", f"sum{BY_QUEUE} (callpulse_slot_offered<Q>)", "short", NEUTRAL),
        ("Answered in slot", f"sum{BY_QUEUE} (callpulse_slot_answered<Q>)", "short", NEUTRAL),
        ("Forecast", fleet("slot_forecast_contacts", BY_QUEUE), "short", NEUTRAL),
        ("Required", fleet("slot_agents_required", BY_QUEUE), "short", NEUTRAL),
        ("Staffed", fleet("slot_agents_staffed", BY_QUEUE), "short", NEUTRAL),
        ("Answer rate", both(answer_rate), "percentunit", HIGH_IS_GOOD),
        ("Service level", both(service_level), "percentunit", HIGH_IS_GOOD),
        ("Abandon rate", both(abandon_rate), "percentunit", rising(0.05, 0.1)),
        ("ASA", mean("wait_seconds", BY_QUEUE), "s", NEUTRAL),
        ("AHT", mean("handle_seconds", BY_QUEUE), "s", NEUTRAL),
    ]
    return dashboard(
        "callpulse-operations-now",
        "callpulse: operations now",
        "What happens in the centre now: who waits, how many are answered, and how fast.",
        VARIABLES + QUEUE_VARIABLES + [address()],
        [("Queues and slots", "callpulse-queues-and-slots", "Slots, legs and single contacts"),
         ("Agents", "callpulse-agents", "Load, occupancy, exposure"),
         ("Voice of the customer", "callpulse-voice-of-the-customer", "Sentiment, keywords, complaints, surveys"),
         ("Plan and schedule", "callpulse-plan-and-schedule", "Forecast against actual, need against roster"),
         ("Trends", "callpulse-trends", "Days, weeks, months, years"),
         ("Pipeline health", "callpulse-pipeline-health", "Can these figures be trusted now?")],
        [
            (4, [
                (4, stat("Waiting", "Legs that wait in a queue now.", "short",
                         "sum (callpulse_legs_waiting<Q>)", rising(20, 50))),
                (4, stat("Longest wait", LONGEST, "s", longest_wait(), rising(60, 180))),
                (4, stat("Answer rate", ANSWER_RATE + OVER_QUARTER, "percentunit", answer_rate(), HIGH_IS_GOOD,
                         QUARTER, "no traffic", **SHARE)),
                (4, stat("Service level", SERVICE_LEVEL + OVER_QUARTER, "percentunit", service_level(), HIGH_IS_GOOD,
                         QUARTER, "no traffic", **SHARE)),
                (4, stat("ASA", ASA + OVER_QUARTER, "s", mean("wait_seconds"), rising(20, 60), QUARTER, "no traffic")),
                (4, stat("AHT", AHT + OVER_QUARTER, "s", mean("handle_seconds"), NEUTRAL, QUARTER, "no traffic")),
            ]),
            (4, [
                (4, stat("Handled now", "Handlings that go on: talk, hold or after-contact work.", "short",
                         "sum (callpulse_handlings_active<Q>)")),
                (4, stat("Agents available", "Agents in state available: logged in and free for the next contact."
                         " All queues: an agent belongs to no single one.", "short",
                         'sum (callpulse_agents{' + FLEET + ', state="available"})', [(None, GREY), (0, RED), (1, GREEN)],
                         links=[TO_AGENTS])),
                (4, stat("Offered in the running slot", "Legs that entered a queue since the running slot began.", "short",
                         "sum (callpulse_slot_offered<Q>)")),
                (4, stat("Answered in the running slot", "Legs that entered a queue since the running slot began and have"
                         " been answered. Those that still wait are among the offered only.", "short",
                         "sum (callpulse_slot_answered<Q>)")),
                (4, stat("Load of the running slot", "Handle time so far of the legs that entered in the running slot /"
                         " length of the slot, in Erlang. It grows until the slot ends.", "suffix: Erl",
                         "sum (callpulse_slot_load_erlangs<Q>)", decimals=1)),
                (4, stat("Abandon rate", ABANDON_RATE + OVER_QUARTER, "percentunit", abandon_rate(), rising(0.05, 0.1),
                         QUARTER, "no traffic", **SHARE)),
            ]),
            (4, [
                (4, stat("Forecast of the running slot", "Contacts expected in the running slot by the newest forecast.", "short",
                         fleet("slot_forecast_contacts"), none="no forecast", decimals=0, links=[TO_PLAN])),
                (4, stat("Offered against forecast", "Legs offered so far in the running slot / contacts expected in all of it."
                         " Above 1 more came than was expected, and the slot is not over.", "percentunit",
                         f"sum (callpulse_slot_offered<Q>) / ({fleet('slot_forecast_contacts')} > 0)", rising(1.1, 1.3),
                         none="no forecast", min=0, links=[TO_PLAN])),
                (4, stat("Agents required", "Agents that the roster needs in the running slot, shrinkage included.", "short",
                         fleet("slot_agents_required"), none="no forecast", decimals=0, links=[TO_PLAN])),
                (4, stat("Agents staffed / required", "Agents that the roster has in the running slot / that it needs.",
                         "percentunit", f"{fleet('slot_agents_staffed')} / ({fleet('slot_agents_required')} > 0)",
                         [(None, GREY), (0, RED), (0.9, ORANGE), (1, GREEN)], none="no forecast", min=0, links=[TO_PLAN])),
                (4, stat("Open alerts", "Alerts of callpulse's own rules that nobody has resolved and that have not expired.",
                         "short", "sum (callpulse_alerts_open<F>)", ANY_IS_BAD, none="no alert yet", links=[TO_ALERTS])),
                (4, stat("Customers' sentiment", "Mean sentiment, from -1 to 1, of the customers' utterances of the last 30"
                         " minutes of event time that have any. With several instances the lowest: a mean of means would"
                         " be wrong.", "none",
                         'min (callpulse_rolling_sentiment_score{' + FLEET + ', speaker="customer", window="30m"})', feeling(),
                         none="nothing said", min=-1, max=1, decimals=2, links=[TO_VOICE])),
            ]),
            (11, [
                (24, table("Queues", "One row a queue and channel. Waiting, longest wait, handled now and slot as in the"
                           f" tiles. {ANSWER_RATE} {ABANDON_RATE} {SERVICE_LEVEL} {ASA} {AHT}{OVER_QUARTER} A dash is no"
                           " traffic.", per_queue, QUARTER)),
            ]),
            (8, [
                (12, lines("Offered, answered, abandoned", "Legs a minute: that entered a queue, that an agent answered,"
                           " whose customer hung up at or after the short-abandon limit, and before it.", "cpm", [
                               (f"60 * {rate('legs_offered_total')}", "offered"),
                               (f"60 * {rate('legs_answered_total')}", "answered"),
                               (f"60 * {rate('legs_abandoned_total')}", "abandoned"),
                               (f"60 * {rate('legs_abandoned_short_total')}", "abandoned short"),
                           ], min=0)),
                (12, lines("Waiting by queue", "Legs that wait now.", "short",
                           [(f"sum{BY_QUEUE} (callpulse_legs_waiting<Q>)", QUEUE)], stack=True, min=0)),
            ]),
            (8, [
                (12, lines("Longest wait by queue", LONGEST, "s", [(longest_wait(BY_QUEUE), QUEUE)], rising(60, 180), min=0)),
                (12, lines("Wait until the answer", "The wait under which half, 9 of 10 and 19 of 20 of the answered legs"
                           " stayed, from the buckets of wait_seconds: exact at a bucket's edge, interpolated between.", "s", [
                               (quantile(0.5, "wait_seconds", "<Q>"), "p50"),
                               (quantile(0.9, "wait_seconds", "<Q>"), "p90"),
                               (quantile(0.95, "wait_seconds", "<Q>"), "p95"),
                           ], interval="5m", none="nobody answered", min=0)),
            ]),
            (8, [
                (12, lines("Answer rate by queue", ANSWER_RATE + " Over at least 5 minutes.", "percentunit",
                           [(answer_rate(BY_QUEUE), QUEUE)], HIGH_IS_GOOD, "5m", "no traffic", **SHARE)),
                (12, lines("Rolling service level, by each queue's own formula", "Share of the legs that ended in the last 15"
                           " minutes of event time and were served in time, by the formula that is configured for the"
                           " queue. A ratio of one instance: not to be averaged.", "percentunit",
                           [('callpulse_rolling_service_level_ratio{' + QUEUES + ', window="15m"}', QUEUE + " {{instance}}")],
                           HIGH_IS_GOOD, none="no traffic", **SHARE)),
            ]),
            (8, [
                (12, lines("Agents by state", "Agents in each state, of all queues; offline left out.", "short",
                           [('sum by (state) (callpulse_agents{' + FLEET + ', state!="offline"})', "{{state}}")],
                           stack=True, min=0, links=[TO_AGENTS])),
                (12, lines("Legs that left without agent, by outcome", "Legs a minute that left the queue without agent and"
                           " without hang-up: overflow, callback, exit key, timeout, no agent, closed, error.", "cpm",
                           [("60 * sum by (outcome) (rate(callpulse_legs_left_total<Q>[$__rate_interval]))", "{{outcome}}")],
                           min=0)),
            ]),
            (8, [
                (12, lines("Handle time and its parts", AHT + " Talk, hold and after-contact work are means over the same"
                           " handlings and add up to it, but for dialling.", "s", [
                               (mean("handle_seconds"), "handle"),
                               (mean("talk_seconds"), "talk"),
                               (mean("hold_seconds"), "hold"),
                               (mean("acw_seconds"), "after-contact work"),
                           ], interval="5m", none="no traffic", min=0)),
                (12, lines("First response", "Mean time from the first answer of a contact to the first message of an agent"
                           " after it, by channel.", "s",
                           [(mean("first_response_seconds", " by (channel)"), "{{channel}}")],
                           interval="5m", none="no traffic", min=0)),
            ]),
            (8, [
                (12, lines("Alerts by rule", "Alerts of callpulse's own rules that are open, by rule and severity.", "short",
                           [("sum by (rule, severity) (callpulse_alerts_open<F>)", "{{rule}} {{severity}}")],
                           none="no alert yet", min=0, links=[TO_ALERTS])),
                (12, lines("Alerts raised", "Alerts an hour that were raised, by rule, also those that were not sent.", "short",
                           [("3600 * sum by (rule, severity) (rate(callpulse_alerts_raised_total<F>[$__rate_interval]))",
                             "{{rule}} {{severity}}")], interval="5m", none="no alert yet", min=0, links=[TO_ALERTS])),
            ]),
            (8, [
                (12, lines("Sentiment by speaker", "Mean sentiment, from -1 to 1, of the utterances of the last 30 minutes of"
                           " event time that have any. Of one instance: not to be averaged.", "none",
                           [('callpulse_rolling_sentiment_score{' + FLEET + ', window="30m"}', "{{speaker}} {{instance}}")],
                           none="nothing said", min=-1, max=1, decimals=2, links=[TO_VOICE])),
                (12, lines("Keywords", "Phrases of the lexicons a minute that were said by customers, by category.", "cpm",
                           [('60 * sum by (category) (rate(callpulse_keyword_hits_total{' + FLEET + ', queue=~"$queue",'
                             ' speaker="customer"}[$__rate_interval]))', "{{category}}")],
                           interval="5m", none="nothing found", min=0, links=[TO_VOICE])),
            ]),
        ],
        "10s",
        down=[TO_SLOTS],
    )
