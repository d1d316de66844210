//! Agents and customers: `exposure`, `agent_month`, `churn_risk`, `survey_slot`, `bot_handover`.

use super::Written;

pub(super) const VIEWS: &[Written] = &[
    Written {
        name: "exposure",
        means: "What an agent's day did to the agent: load, unpleasant contacts and how many of them in a row, and breaks. For \
                the agent and the lead. A contact was unpleasant where the customer's sentiment was at most -0.3 or fell to \
                -0.6, a complaint came of it, or the customer gave 1 or 2 of 5. A break is due after two hours of work.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("agent_id", "", "The agent."),
            ("department", "", "The department of the agent's contacts."),
            ("handled", "count", "Contacts whose handling the agent closed, outbound ones too."),
            ("unpleasant", "count", "Those that were unpleasant."),
            ("unpleasant_share", "ratio", "unpleasant / handled."),
            ("longest_run", "count", "The most unpleasant contacts in a row."),
            ("last_run", "count", "Unpleasant contacts in a row at the end of the day, or until now."),
            ("occupancy", "ratio", "Time busy / time busy or available."),
            ("work_seconds", "s", "Time in any state but offline, break and meeting; a state that lasts longer than 31 days counts for 31."),
            ("breaks", "count", "Breaks taken."),
            ("break_seconds", "s", "Their time."),
            ("longest_stretch_seconds", "s", "The longest work without pause (break, meeting, offline)."),
            ("breaks_missed", "count", "Whole stretches of two hours without a pause."),
            ("pause_suggested", "", "True today, while the agent is at work: three unpleasant contacts in a row, or two hours without a pause."),
            ("reasons", "", "Why."),
        ],
        sql: "
WITH bad AS (
    SELECT contact_id AS bad_contact FROM contacts
    WHERE (COALESCE(sentiment_customer <= -0.3, false) OR COALESCE(sentiment_lowest <= -0.6, false))
        AND started_at <= {until day} + INTERVAL '2 days' AND (ended_at IS NULL OR ended_at >= {since day} - INTERVAL '7 days')
    UNION SELECT contact_id FROM complaints WHERE contact_id IS NOT NULL
    UNION SELECT contact_id FROM surveys WHERE csat <= 2
), done AS (
    SELECT local_day(wrapped_at) AS day, agent_id, department, wrapped_at, contact_id, handling, bad_contact IS NOT NULL AS unpleasant
    FROM handlings LEFT JOIN (SELECT DISTINCT bad_contact FROM bad) AS b ON contact_id = bad_contact
    WHERE agent_id IS NOT NULL AND wrapped_at >= {since day} AND wrapped_at <= {until day} + INTERVAL '2 days'
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY day, agent_id ORDER BY wrapped_at, contact_id, handling) AS place,
        row_number() OVER (PARTITION BY day, agent_id, unpleasant ORDER BY wrapped_at, contact_id, handling) AS place_of_kind
    FROM done
), runs AS (
    SELECT day, agent_id, unpleasant, CAST(place AS BIGINT) - CAST(place_of_kind AS BIGINT) AS island, COUNT(*) AS length,
        MAX(place) AS last_place
    FROM placed GROUP BY day, agent_id, unpleasant, CAST(place AS BIGINT) - CAST(place_of_kind AS BIGINT)
), counted AS (
    SELECT day AS of_day, agent_id AS of_agent, MAX(department) AS department, COUNT(*) AS handled,
        SUM(CASE WHEN unpleasant THEN 1 ELSE 0 END) AS unpleasant, MAX(place) AS places
    FROM placed GROUP BY day, agent_id
), ran AS (
    SELECT of_day, of_agent, department, handled, counted.unpleasant AS unpleasant,
        COALESCE(MAX(CASE WHEN runs.unpleasant THEN length END), 0) AS longest_run,
        COALESCE(MAX(CASE WHEN runs.unpleasant AND last_place = places THEN length END), 0) AS last_run
    FROM counted JOIN runs ON of_day = runs.day AND of_agent = runs.agent_id
    GROUP BY of_day, of_agent, department, handled, counted.unpleasant
), states AS (
    SELECT agent_id, state, id, started_at, LEAST(COALESCE(ended_at, {now}), started_at + INTERVAL '31 days') AS until,
        ended_at IS NULL AS lasts, state IN ('offline', 'break', 'meeting') AS pause
    FROM agent_states WHERE agent_id IS NOT NULL AND started_at < {now}
        AND date >= local_date({since day} - INTERVAL '32 days') AND date <= local_date({until day} + INTERVAL '2 days')
), split AS (
    SELECT agent_id, state, id, pause, lasts, day, GREATEST(started_at, day) AS since,
        LEAST(until, day + arrow_cast(local_day_length_ms(day), 'Duration(Millisecond)')) AS until
    FROM (SELECT *, unnest(local_days(started_at, until)) AS day FROM states) AS days
), grouped AS (
    SELECT *, SUM(CASE WHEN pause THEN 1 ELSE 0 END) OVER (PARTITION BY agent_id, day ORDER BY since, id) AS island FROM split
), stretches AS (
    SELECT agent_id, day, island, SUM(CAST(arrow_cast(until, 'Int64') - arrow_cast(since, 'Int64') AS DOUBLE)) / 1000000.0 AS seconds,
        bool_or(lasts) AS lasts
    FROM grouped WHERE NOT pause GROUP BY agent_id, day, island
), worked AS (
    SELECT day AS work_day, agent_id AS work_agent, SUM(seconds) AS work_seconds, MAX(seconds) AS longest,
        SUM(CAST(floor(seconds / 7200.0) AS BIGINT)) AS missed_breaks, MAX(CASE WHEN lasts THEN seconds END) AS present_stretch
    FROM stretches GROUP BY day, agent_id
), rested AS (
    SELECT day AS rest_day, agent_id AS rest_agent, COUNT(*) AS breaks,
        SUM(CAST(arrow_cast(until, 'Int64') - arrow_cast(since, 'Int64') AS DOUBLE)) / 1000000.0 AS break_seconds
    FROM split WHERE state = 'break' GROUP BY day, agent_id
), told AS (
    SELECT d.day AS day, d.agent_id AS agent_id, department, COALESCE(r.handled, 0) AS handled, COALESCE(unpleasant, 0) AS unpleasant,
        COALESCE(longest_run, 0) AS longest_run, COALESCE(last_run, 0) AS last_run, d.occupancy AS occupancy,
        COALESCE(work_seconds, 0.0) AS work_seconds, COALESCE(breaks, 0) AS breaks, COALESCE(break_seconds, 0.0) AS break_seconds,
        COALESCE(longest, 0.0) AS longest, COALESCE(missed_breaks, 0) AS missed_breaks, present_stretch,
        d.day = local_day({now}) AND present_stretch IS NOT NULL AS at_work
    FROM agent_day AS d
    LEFT JOIN ran AS r ON d.day = of_day AND d.agent_id = of_agent
    LEFT JOIN worked ON d.day = work_day AND d.agent_id = work_agent
    LEFT JOIN rested ON d.day = rest_day AND d.agent_id = rest_agent
)
SELECT day, agent_id, department, handled, unpleasant,
    CASE WHEN handled > 0 THEN CAST(unpleasant AS DOUBLE) / CAST(handled AS DOUBLE) END AS unpleasant_share,
    longest_run, last_run, occupancy, work_seconds, breaks, break_seconds, longest AS longest_stretch_seconds,
    missed_breaks AS breaks_missed,
    at_work AND (last_run >= 3 OR COALESCE(present_stretch >= 7200.0, false)) AS pause_suggested,
    NULLIF(concat_ws('; ', CASE WHEN at_work AND last_run >= 3 THEN concat(last_run, ' unpleasant contacts in a row') END,
        CASE WHEN at_work AND present_stretch >= 7200.0 THEN 'two hours without a pause' END), '') AS reasons
FROM told",
    },
    Written {
        name: "agent_month",
        means: "An agent's month and quarter, against the agent's own month or quarter before and the team of the same department. A share \
                with few cases behind it says little: *_margin is half of its 95 % interval (Wilson), and small_n is true below \
                30. trains_in names what is worse than the team beyond that margin.",
        columns: &[
            ("period", "", "month or quarter."),
            ("start", "", "Its start."),
            ("agent_id", "", "The agent."),
            ("department", "", "The department of the agent's handlings."),
            ("handled", "count", "Handlings closed; outbound ones left out."),
            ("aht_seconds", "s", "Mean handle time."),
            ("aht_before_seconds", "s", "That of the agent's period before."),
            ("aht_team_seconds", "s", "That of the team."),
            ("occupancy", "ratio", "Time busy / time busy or available."),
            ("transfer_rate", "ratio", "Handlings passed on / contacts handled."),
            ("resolved_n", "count", "Contacts last answered by the agent whose wrap-up says whether they are resolved."),
            ("resolved_share", "ratio", "Share of those resolved."),
            ("resolved_margin", "ratio", "Half of its 95 % interval."),
            ("resolved_before", "ratio", "That of the agent's period before."),
            ("resolved_team", "ratio", "That of the team."),
            ("csat_n", "count", "Answers 1 to 5 about the agent's contacts."),
            ("csat", "ratio", "Share of 4 and 5."),
            ("csat_margin", "ratio", "Half of its 95 % interval."),
            ("csat_before", "ratio", "That of the agent's period before."),
            ("csat_team", "ratio", "That of the team."),
            ("complaints", "count", "Complaints that name the agent, withdrawn ones left out."),
            ("upheld", "count", "Those that were right."),
            ("sentiment", "", "Mean sentiment of the customers, -1 to 1; NULL where none is known."),
            ("unpleasant", "count", "Unpleasant contacts (see exposure)."),
            ("small_n", "", "True: fewer than 30 answers or resolutions, so that shares may be chance."),
            ("trains_in", "", "handle time, resolution, satisfaction: what is worse than the team beyond chance; NULL where nothing is."),
        ],
        sql: "
WITH base AS (
    SELECT d.day AS day, d.agent_id AS agent_id, e.department AS department, d.handled AS handled, d.contacts AS contacts,
        d.handle_seconds AS handle_seconds, d.outbound AS outbound, d.transfers AS transfers, d.busy_seconds AS busy_seconds,
        d.staffed_seconds AS staffed_seconds, e.unpleasant AS unpleasant, d.aht_seconds AS day_aht,
        0 AS resolved_n, 0 AS resolved, 0 AS csat_n, 0 AS satisfied, 0 AS complaints, 0 AS upheld, 0.0 AS moods, 0 AS mood_n
    FROM agent_day AS d LEFT JOIN exposure AS e ON d.day = e.day AND d.agent_id = e.agent_id
    WHERE d.day >= {since start} - INTERVAL '95 days' AND d.day <= {until start} + INTERVAL '95 days'
    UNION ALL
    SELECT local_day(ended_at), last_agent, department, 0, 0, 0.0, 0, 0, 0.0, 0.0, 0, NULL, COUNT(resolved),
        SUM(CASE WHEN resolved THEN 1 ELSE 0 END), 0, 0, 0, 0, COALESCE(SUM(sentiment_customer), 0.0), COUNT(sentiment_customer)
    FROM contacts WHERE last_agent IN (SELECT DISTINCT agent_id FROM handlings)
        AND ended_at >= {since start} - INTERVAL '95 days' AND ended_at <= {until start} + INTERVAL '95 days'
    GROUP BY local_day(ended_at), last_agent, department
    UNION ALL
    SELECT local_day(s.\"time\"), COALESCE(s.agent_id, c.last_agent), c.department, 0, 0, 0.0, 0, 0, 0.0, 0.0, 0, NULL, 0, 0,
        COUNT(s.csat), SUM(CASE WHEN s.csat >= 4 THEN 1 ELSE 0 END), 0, 0, 0.0, 0
    FROM surveys AS s LEFT JOIN contacts AS c ON s.contact_id = c.contact_id
    WHERE COALESCE(s.agent_id, c.last_agent) IN (SELECT DISTINCT agent_id FROM handlings)
    GROUP BY local_day(s.\"time\"), COALESCE(s.agent_id, c.last_agent), c.department
    UNION ALL
    SELECT local_day(opened_at), agent_id, department, 0, 0, 0.0, 0, 0, 0.0, 0.0, 0, NULL, 0, 0, 0, 0, COUNT(*),
        SUM(CASE WHEN verdict = 'upheld' THEN 1 ELSE 0 END), 0.0, 0
    FROM complaints WHERE agent_id IS NOT NULL AND opened_at IS NOT NULL AND withdrawn_at IS NULL
    GROUP BY local_day(opened_at), agent_id, department
), periods AS (
    SELECT *, CASE WHEN period = 'month' THEN local_month(day) ELSE local_quarter(day) END AS start
    FROM (SELECT *, unnest(make_array('month', 'quarter')) AS period FROM base) AS both_periods
), sums AS (
    SELECT period, start, agent_id, MAX(department) AS department, CAST(SUM(handled) AS BIGINT) AS handled, SUM(contacts) AS contacts,
        SUM(CASE WHEN handled > 0 THEN day_aht * CAST(handled AS DOUBLE) ELSE 0.0 END) AS handle_seconds,
        SUM(transfers) AS transfers, SUM(busy_seconds) AS busy_seconds, SUM(staffed_seconds) AS staffed_seconds,
        CAST(SUM(COALESCE(unpleasant, 0)) AS BIGINT) AS unpleasant, CAST(SUM(resolved_n) AS BIGINT) AS resolved_n,
        CAST(SUM(resolved) AS DOUBLE) AS resolved, CAST(SUM(csat_n) AS BIGINT) AS csat_n,
        CAST(SUM(satisfied) AS DOUBLE) AS satisfied, CAST(SUM(complaints) AS BIGINT) AS complaints,
        CAST(SUM(upheld) AS BIGINT) AS upheld, SUM(moods) AS moods, SUM(mood_n) AS mood_n
    FROM periods GROUP BY period, start, agent_id
), teams AS (
    SELECT *, SUM(handled) OVER team AS team_handled, SUM(handle_seconds) OVER team AS team_seconds,
        SUM(resolved_n) OVER team AS team_resolved_n, SUM(resolved) OVER team AS team_resolved, SUM(csat_n) OVER team AS team_csat_n,
        SUM(satisfied) OVER team AS team_satisfied
    FROM sums WINDOW team AS (PARTITION BY period, start, department)
), figures AS (
    SELECT *, CASE WHEN handled > 0 THEN handle_seconds / CAST(handled AS DOUBLE) END AS aht,
        CASE WHEN team_handled > 0 THEN team_seconds / CAST(team_handled AS DOUBLE) END AS aht_team,
        CASE WHEN resolved_n > 0 THEN resolved / CAST(resolved_n AS DOUBLE) END AS resolved_share,
        CASE WHEN team_resolved_n > 0 THEN team_resolved / CAST(team_resolved_n AS DOUBLE) END AS resolved_team,
        CASE WHEN csat_n > 0 THEN satisfied / CAST(csat_n AS DOUBLE) END AS csat,
        CASE WHEN team_csat_n > 0 THEN team_satisfied / CAST(team_csat_n AS DOUBLE) END AS csat_team
    FROM teams
), bounds AS (
    SELECT *, 1.96 / (1.0 + 3.8416 / CAST(resolved_n AS DOUBLE))
            * sqrt(resolved_share * (1.0 - resolved_share) / CAST(resolved_n AS DOUBLE)
                + 0.9604 / power(CAST(resolved_n AS DOUBLE), 2.0)) AS resolved_margin,
        1.96 / (1.0 + 3.8416 / CAST(csat_n AS DOUBLE))
            * sqrt(csat * (1.0 - csat) / CAST(csat_n AS DOUBLE) + 0.9604 / power(CAST(csat_n AS DOUBLE), 2.0)) AS csat_margin,
        LAG(start) OVER own IS NOT DISTINCT FROM CASE WHEN period = 'month' THEN local_month(start - INTERVAL '1 day')
            ELSE local_quarter(start - INTERVAL '1 day') END AS follows,
        LAG(aht) OVER own AS aht_last, LAG(resolved_share) OVER own AS resolved_last, LAG(csat) OVER own AS csat_last
    FROM figures WINDOW own AS (PARTITION BY period, agent_id ORDER BY start)
)
SELECT period, start, agent_id, department, handled, aht AS aht_seconds, CASE WHEN follows THEN aht_last END AS aht_before_seconds,
    aht_team AS aht_team_seconds, CASE WHEN staffed_seconds > 0 THEN busy_seconds / staffed_seconds END AS occupancy,
    CASE WHEN contacts > 0 THEN CAST(transfers AS DOUBLE) / CAST(contacts AS DOUBLE) END AS transfer_rate,
    resolved_n, resolved_share, CASE WHEN resolved_n > 0 THEN resolved_margin END AS resolved_margin,
    CASE WHEN follows THEN resolved_last END AS resolved_before, resolved_team,
    csat_n, csat, CASE WHEN csat_n > 0 THEN csat_margin END AS csat_margin, CASE WHEN follows THEN csat_last END AS csat_before, csat_team, complaints, upheld,
    CASE WHEN mood_n > 0 THEN moods / CAST(mood_n AS DOUBLE) END AS sentiment, unpleasant,
    csat_n < 30 OR resolved_n < 30 AS small_n,
    NULLIF(concat_ws('; ', CASE WHEN handled >= 30 AND aht > 1.2 * aht_team THEN 'handle time' END,
        CASE WHEN resolved_n > 0 AND resolved_share + resolved_margin < resolved_team THEN 'resolution' END,
        CASE WHEN csat_n > 0 AND csat + csat_margin < csat_team THEN 'satisfaction' END), '') AS trains_in
FROM bounds",
    },
    Written {
        name: "churn_risk",
        means: "Customers who may leave, by what they went through in the last 90 days, with reasons. Points: complaints 3 each (at \
                most 6), one that is still open 2 more; coming back about the same thing 1 each (at most 3); sentiment 0 to 3; a \
                1 or 2 of 5 in a survey 2; having been abandoned twice 1. Times the tier: platinum, vip, diamond and svip 2, gold \
                1.5, silver 1.2, others 1. Customers without a point are left out.",
        columns: &[
            ("customer_id", "", "The customer."),
            ("tier", "", "The tier that the newest contact of these days names."),
            ("risk", "", "Points times the tier's weight; compare, do not add."),
            ("reasons", "", "What they are for."),
            ("contacts", "count", "Contacts in 90 days."),
            ("last_contact_at", "", "The newest of them."),
            ("complaints", "count", "Complaints in 90 days, withdrawn ones left out."),
            ("open_complaints", "count", "Those that are not closed."),
            ("repeats", "count", "Contacts with which the customer came back within 7 days about the same thing."),
            ("abandoned", "count", "Contacts that no agent answered as the customer gave up."),
            ("sentiment", "", "Mean sentiment, -1 to 1; NULL where none is known."),
            ("lowest_csat", "", "The lowest answer of 1 to 5."),
        ],
        sql: "
WITH seen AS (
    SELECT customer_id, COUNT(*) AS contacts, MAX(started_at) AS last_contact_at, AVG(sentiment_customer) AS sentiment,
        SUM(CASE WHEN outcome = 'abandoned' THEN 1 ELSE 0 END) AS abandoned,
        substr(MAX(CASE WHEN tier IS NOT NULL THEN concat(lpad(CAST(arrow_cast(started_at, 'Int64') AS VARCHAR), 20, '0'), tier) END), 21)
            AS tier
    FROM contacts WHERE customer_id IS NOT NULL AND started_at >= {now} - INTERVAL '90 days' GROUP BY customer_id
), complained AS (
    SELECT COALESCE(k.customer_id, c.customer_id) AS complaint_customer, COUNT(*) AS complaints,
        SUM(CASE WHEN k.closed_at IS NULL OR k.reopened_at > k.closed_at THEN 1 ELSE 0 END) AS open_complaints
    FROM complaints AS k LEFT JOIN contacts AS c ON k.contact_id = c.contact_id
    WHERE k.withdrawn_at IS NULL AND k.opened_at >= {now} - INTERVAL '90 days'
    GROUP BY COALESCE(k.customer_id, c.customer_id)
), came_back AS (
    SELECT customer_id AS repeat_customer, COUNT(*) AS repeats
    FROM repeat_contacts WHERE previous_7d > 0 AND started_at >= {now} - INTERVAL '90 days' GROUP BY customer_id
), answered AS (
    SELECT COALESCE(s.customer_id, c.customer_id) AS survey_customer, MIN(s.csat) AS lowest_csat
    FROM surveys AS s LEFT JOIN contacts AS c ON s.contact_id = c.contact_id
    WHERE s.\"time\" >= {now} - INTERVAL '90 days' GROUP BY COALESCE(s.customer_id, c.customer_id)
), known AS (
    SELECT customer_id FROM seen
    UNION SELECT complaint_customer FROM complained WHERE complaint_customer IS NOT NULL
), joined AS (
    SELECT k.customer_id AS customer_id, tier, COALESCE(contacts, 0) AS contacts, last_contact_at, sentiment,
        COALESCE(abandoned, 0) AS abandoned, COALESCE(complaints, 0) AS complaints,
        COALESCE(open_complaints, 0) AS open_complaints, COALESCE(repeats, 0) AS repeats, lowest_csat,
        CASE WHEN lower(tier) IN ('platinum', 'vip', 'svip', 'diamond') THEN 2.0 WHEN lower(tier) = 'gold' THEN 1.5
            WHEN lower(tier) = 'silver' THEN 1.2 ELSE 1.0 END AS weight
    FROM known AS k
    LEFT JOIN seen AS s ON k.customer_id = s.customer_id
    LEFT JOIN complained ON k.customer_id = complaint_customer
    LEFT JOIN came_back ON k.customer_id = repeat_customer
    LEFT JOIN answered ON k.customer_id = survey_customer
), points AS (
    SELECT *, CAST(LEAST(complaints * 3, 6) + CASE WHEN open_complaints > 0 THEN 2 ELSE 0 END + LEAST(repeats, 3) AS DOUBLE)
        + COALESCE(3.0 * GREATEST(-sentiment, 0.0), 0.0) + CASE WHEN lowest_csat <= 2 THEN 2.0 ELSE 0.0 END
        + CASE WHEN abandoned >= 2 THEN 1.0 ELSE 0.0 END AS points
    FROM joined
)
SELECT customer_id, tier, points * weight AS risk,
    concat_ws('; ', CASE WHEN complaints > 0 THEN concat(complaints, CASE WHEN complaints = 1 THEN ' complaint' ELSE ' complaints' END) END,
        CASE WHEN open_complaints > 0 THEN concat(open_complaints, ' of them open') END,
        CASE WHEN repeats > 0 THEN concat('came back ', repeats, CASE WHEN repeats = 1 THEN ' time' ELSE ' times' END) END,
        CASE WHEN sentiment <= -0.1 THEN concat('sentiment ', round(sentiment, 2)) END,
        CASE WHEN lowest_csat <= 2 THEN concat('gave ', lowest_csat, ' of 5') END,
        CASE WHEN abandoned >= 2 THEN concat('gave up waiting ', abandoned, ' times') END) AS reasons,
    contacts, last_contact_at, complaints, open_complaints, repeats, abandoned, sentiment, lowest_csat
FROM points WHERE points > 0",
    },
    Written {
        name: "survey_slot",
        means: "Surveys by the slot, channel and queue of the contact that they are about (survey_day has them by the time of the \
                answer), beside its wait and sentiment.",
        columns: &[
            ("slot_start", "", "Slot in which the contact entered its first queue, else of its start."),
            ("channel", "", "The contact's channel."),
            ("queue", "", "The contact's last queue."),
            ("agent_id", "", "The agent whom the survey names, else the last who answered."),
            ("responses", "count", "Surveys answered."),
            ("csat", "ratio", "Share of 4 and 5 among the answers 1 to 5."),
            ("csat_n", "count", "Answers behind csat."),
            ("nps", "", "Percent of 9 and 10 minus percent of 0 to 6."),
            ("nps_n", "count", "Answers behind nps."),
            ("ces", "", "Mean of the answers 1 to 7."),
            ("ces_n", "count", "Answers behind ces."),
            ("wait_seconds", "s", "Mean wait of the contacts."),
            ("sentiment", "", "Their mean sentiment, -1 to 1; NULL where none is known."),
        ],
        sql: "
WITH entered AS (
    SELECT contact_id AS leg_contact, MIN(slot_start) AS slot_start FROM legs
    WHERE contact_id IN (SELECT contact_id FROM surveys) GROUP BY contact_id
), answers AS (
    SELECT COALESCE(e.slot_start, slot(c.started_at)) AS slot_start, c.channel AS channel, c.last_queue AS queue,
        COALESCE(s.agent_id, c.last_agent) AS agent_id, s.csat AS csat, s.nps AS nps, s.ces AS ces, c.wait_ms AS wait_ms,
        c.sentiment_customer AS sentiment
    FROM surveys AS s JOIN contacts AS c ON s.contact_id = c.contact_id LEFT JOIN entered AS e ON c.contact_id = leg_contact
)
SELECT slot_start, channel, queue, agent_id, COUNT(*) AS responses,
    CASE WHEN COUNT(csat) > 0
        THEN CAST(SUM(CASE WHEN csat >= 4 THEN 1 ELSE 0 END) AS DOUBLE) / CAST(COUNT(csat) AS DOUBLE) END AS csat,
    COUNT(csat) AS csat_n,
    CASE WHEN COUNT(nps) > 0 THEN CAST(SUM(CASE WHEN nps >= 9 THEN 100 WHEN nps <= 6 THEN -100 ELSE 0 END) AS DOUBLE)
        / CAST(COUNT(nps) AS DOUBLE) END AS nps,
    COUNT(nps) AS nps_n, AVG(CAST(ces AS DOUBLE)) AS ces, COUNT(ces) AS ces_n,
    AVG(CAST(wait_ms AS DOUBLE)) / 1000.0 AS wait_seconds, AVG(sentiment) AS sentiment
FROM answers GROUP BY slot_start, channel, queue, agent_id",
    },
    Written {
        name: "bot_handover",
        means: "What self-service could not settle, per day, channel and topic: contacts that it handed over or that left it, or \
                that came back within 24 hours although it had settled them; and the phrases that were found in them.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("channel", "", "The channel."),
            ("topic", "", "The matter, as the platform names it."),
            ("bot_contacts", "count", "Contacts whose self-service has ended."),
            ("handover", "count", "Those handed over."),
            ("abandoned", "count", "Those whose customer left."),
            ("returned_24h", "count", "Those settled whose customer came back within 24 hours."),
            ("failure_share", "ratio", "(handover + abandoned + returned_24h) / bot_contacts."),
            ("common_share", "ratio", "Share of the day's and channel's self-service contacts that have this topic."),
            ("keywords", "", "Phrases most often found in the contacts that failed, at most five, without greetings, farewells and empathy; NULL where none were."),
        ],
        sql: "
WITH following AS (
    SELECT contact_id, started_at, channel, topic, bot_outcome, keywords,
        customer_id IS NOT NULL AND LEAD(started_at) OVER (PARTITION BY customer_id ORDER BY started_at, contact_id)
            <= started_at + INTERVAL '24 hours' AS returned
    FROM contacts WHERE (direction IS NULL OR direction NOT IN ('outbound', 'callback') OR bot_outcome IS NOT NULL)
        AND started_at >= {since day} AND started_at <= {until day} + INTERVAL '3 days'
), ended AS (
    SELECT local_day(started_at) AS day, channel, topic, keywords, bot_outcome = 'handover' AS handed, bot_outcome = 'abandoned' AS left_it,
        bot_outcome = 'contained' AND COALESCE(returned, false) AS returned
    FROM following WHERE bot_outcome IS NOT NULL
), phrases AS (
    SELECT day, channel, topic, phrase, COUNT(*) AS times
    FROM (
        SELECT day, channel, topic, unnest(string_to_array(keywords, ';')) AS phrase
        FROM ended WHERE keywords IS NOT NULL AND (handed OR left_it OR returned)
    ) AS found WHERE phrase <> '' AND split_part(phrase, ':', 1) NOT IN ('greeting', 'farewell', 'empathy')
    GROUP BY day, channel, topic, phrase
), often AS (
    SELECT day AS of_day, channel AS of_channel, topic AS of_topic, string_agg(phrase, ';' ORDER BY times DESC, phrase) AS keywords
    FROM (
        SELECT *, row_number() OVER (PARTITION BY day, channel, topic ORDER BY times DESC, phrase) AS place FROM phrases
    ) AS ranked WHERE place <= 5 GROUP BY day, channel, topic
), sums AS (
    SELECT day, channel, topic, COUNT(*) AS bot_contacts, SUM(CASE WHEN handed THEN 1 ELSE 0 END) AS handover,
        SUM(CASE WHEN left_it THEN 1 ELSE 0 END) AS abandoned, SUM(CASE WHEN returned THEN 1 ELSE 0 END) AS returned_24h
    FROM ended GROUP BY day, channel, topic
)
SELECT day, channel, topic, bot_contacts, handover, abandoned, returned_24h,
    CAST(handover + abandoned + returned_24h AS DOUBLE) / CAST(bot_contacts AS DOUBLE) AS failure_share,
    CAST(bot_contacts AS DOUBLE) / CAST(SUM(bot_contacts) OVER (PARTITION BY day, channel) AS DOUBLE) AS common_share, keywords
FROM sums LEFT JOIN often ON day = of_day AND (channel IS NOT DISTINCT FROM of_channel) AND (topic IS NOT DISTINCT FROM of_topic)",
    },
];
