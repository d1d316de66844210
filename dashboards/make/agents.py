"""Agents: load, occupancy, exposure; no ranking of names. Who sees whom is decided by the data source's user."""

from .sql import *


def board():
    day = f"FROM agent_day WHERE $__timeFilter(day) AND {AGENTS_CHOSEN}"
    exposed = f"FROM exposure WHERE $__timeFilter(day) AND {AGENTS_CHOSEN}"
    handlings = f"$__timeFilter(started_at) AND {among('queue', 'channel', 'department', agent='agent_id')}"
    occupancy = "SUM(busy_seconds) / NULLIF(SUM(staffed_seconds), 0)"
    cells = {
        "agent_id": (None, None, AGENT_CELL),
        "contact_id": (None, None, CONTACT),
        "queue": (None, None, QUEUE_CELL),
        "day": ("dateTimeAsLocal", None, None),
        "start": ("dateTimeAsLocal", None, None),
        "since": ("dateTimeAsLocal", None, None),
        "started_at": ("dateTimeAsLocal", None, None),
        "occupancy": ("percentunit", OCCUPANCY, None),
        **{name: ("s", None, None) for name in (
            "aht_seconds", "aht_team_seconds", "talk_seconds", "hold_seconds", "acw_seconds", "handle_seconds",
            "planned_seconds", "worked_seconds", "longest_stretch_seconds", "seconds")},
        **{name: ("percentunit", None, None) for name in (
            "unpleasant_share", "resolved_share", "resolved_margin", "csat", "csat_margin", "adherence", "conformance")},
        "sentiment": ("none", feeling(), None),
    }
    sorted_by = " In the order of their ids: this is no ranking."
    return dashboard(
        "callpulse-agents",
        "callpulse: agents",
        "What the agents carry: work, occupancy, hard contacts, breaks. Names are never ranked; the rights of the data"
        " source's user decide who is seen.",
        AGENT_VARIABLES,
        [("Plan and schedule", "callpulse-plan-and-schedule", "Roster against need"),
         ("Queues and slots", "callpulse-queues-and-slots", "The work by queue")],
        [
            (4, [
                (4, stat("At work now", "Agents in any state but offline, all queues.", "short", f"""
                    SELECT COUNT(*) AS agents FROM live_agents WHERE state <> 'offline' AND {AGENTS_CHOSEN}""")),
                (4, stat("Available now", "Agents in state available: free for the next contact.", "short", f"""
                    SELECT COUNT(*) AS agents FROM live_agents WHERE state = 'available' AND {AGENTS_CHOSEN}""",
                         [(None, GREY), (0, RED), (1, GREEN)])),
                (4, stat("Handled", "Handlings closed in the days that begin in the chosen time; outbound left out.", "short",
                         f"SELECT SUM(handled) AS handled {day}")),
                (4, stat("Occupancy", "Time with at least one contact / (that + available), summed over agents and days, so"
                         " that long days weigh more. The cap is 85 %.", "percentunit",
                         f"SELECT {occupancy} AS occupancy {day}", OCCUPANCY, "nobody was there", **SHARE)),
                (4, stat("Days above the cap", "Share of agents' days with an occupancy above 85 %.", "percentunit", f"""
                    SELECT CAST(SUM(CASE WHEN occupancy > 0.85 THEN 1 ELSE 0 END) AS DOUBLE) / NULLIF(COUNT(occupancy), 0)
                        AS share {day}""", rising(0.2, 0.4), "nobody was there", **SHARE)),
                (4, stat("Pauses suggested now", "Agents at work who had three unpleasant contacts in a row, or two hours"
                         " without a pause.", "short", f"""
                    SELECT COUNT(*) AS agents FROM exposure WHERE pause_suggested AND {AGENTS_CHOSEN}""", rising(1, 5))),
            ]),
            (8, [
                (12, lines("Agents present, by slot", "Different agents of the centre in any state but offline at some time of"
                           " the slot; an agent belongs to no single queue.", "short", """
                    SELECT slot_start AS time, MAX(agents_present) AS agents FROM slot_load
                    WHERE $__timeFilter(slot_start) GROUP BY slot_start ORDER BY 1""", min=0)),
                (12, lines("Work per agent present, by slot", "Minutes of talk, hold and after-contact work in the slot per"
                           " agent of the centre present, added up over the queues chosen.", "m", f"""
                    SELECT slot_start AS time, SUM(handle_minutes_per_agent) AS "minutes of work" FROM slot_load
                    WHERE $__timeFilter(slot_start) AND {ALL_THREE} GROUP BY slot_start ORDER BY 1""",
                           none="nobody was there", min=0)),
            ]),
            (8, [
                (12, bars("Days by occupancy", "How many agents' days lie in each band of occupancy: the spread without"
                          " names. Fair work is a narrow hill below 85 %.", "short", f"""
                    SELECT CONCAT(CAST(CAST(FLOOR(occupancy * 10) * 10 AS BIGINT) AS VARCHAR), ' %') AS band,
                        COUNT(*) AS "agents' days" {day} AND occupancy IS NOT NULL
                    GROUP BY FLOOR(occupancy * 10) ORDER BY FLOOR(occupancy * 10)""", none="nobody was there", min=0)),
                (12, bars("Agents by state now", "Agents in each state now.", "short", f"""
                    SELECT state, COUNT(*) AS agents FROM live_agents WHERE {AGENTS_CHOSEN} GROUP BY state ORDER BY state""",
                          min=0)),
            ]),
            (10, [
                (24, table("Agents' days", "One row an agent and day. Handlings stand in the day of their close; occupancy is by"
                           " the wall clock." + sorted_by, f"""
                    SELECT day, agent_id, contacts, handled, outbound, aht_seconds, talk_seconds, hold_seconds, acw_seconds,
                        occupancy, missed, transfers, sentiment {day} ORDER BY agent_id, day LIMIT 1000""", cells,
                           none="–")),
            ]),
            (9, [
                (24, table("Exposure", "What a day did to an agent: unpleasant contacts (and how many in a row), the longest"
                           " work without a pause, breaks missed. For the team lead to help, not to judge." + sorted_by, f"""
                    SELECT day, agent_id, handled, unpleasant, unpleasant_share, longest_run, longest_stretch_seconds,
                        breaks, breaks_missed, pause_suggested, reasons {exposed} ORDER BY agent_id, day LIMIT 1000""", cells)),
            ]),
            (9, [
                (12, table("Month and quarter against the team", "Handle time, resolution and satisfaction against the team of"
                           " the same department; margins are half of a 95 % interval, and trains_in names what is worse"
                           " beyond chance." + sorted_by, f"""
                    SELECT period, start, agent_id, handled, aht_seconds, aht_team_seconds, resolved_share, resolved_margin,
                        csat, csat_margin, csat_n, trains_in FROM agent_month WHERE $__timeFilter(start) AND {AGENTS_CHOSEN}
                    ORDER BY agent_id, period, start LIMIT 1000""", cells)),
                (12, table("Planned and worked", "Adherence: time of the shifts in any state but offline and break / time"
                           " planned. Conformance: time worked / time planned." + sorted_by, f"""
                    SELECT day, agent_id, planned_seconds, worked_seconds, adherence, conformance FROM adherence_day
                    WHERE $__timeFilter(day) AND {AGENTS_CHOSEN} ORDER BY agent_id, day LIMIT 1000""", cells,
                           none="no roster")),
            ]),
            (10, [
                (24, table("Contacts of the agents chosen", "Handlings that began in the chosen time, newest first, at most 200;"
                           " here queue and channel count too. The contact leads to its timeline.", f"""
                    SELECT started_at, contact_id, queue, channel, agent_id, talk_ms / 1000.0 AS talk_seconds,
                        hold_ms / 1000.0 AS hold_seconds, acw_ms / 1000.0 AS acw_seconds,
                        handle_ms / 1000.0 AS handle_seconds, transferred_to, ended_by FROM handlings WHERE {handlings}
                    ORDER BY started_at DESC, contact_id LIMIT 200""", cells, none="none")),
            ]),
        ],
        "5m",
        "now-7d",
    )
