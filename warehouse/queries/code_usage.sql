-- How many entries of each codebook are in use, and how evenly (entropy in bits, perplexity, most frequent entry)?
-- One query per codebook reads one column at a time: three times faster than UNPIVOT (55 hours: 4 s on one core).
WITH counts AS (
    SELECT codec, 0 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q0) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
    UNION ALL
    SELECT codec, 1 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q1) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
    UNION ALL
    SELECT codec, 2 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q2) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
    UNION ALL
    SELECT codec, 3 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q3) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
    UNION ALL
    SELECT codec, 4 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q4) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
    UNION ALL
    SELECT codec, 5 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q5) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
    UNION ALL
    SELECT codec, 6 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q6) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
    UNION ALL
    SELECT codec, 7 AS codebook, code, count(*) AS frames
    FROM (SELECT codec, unnest(q7) AS code FROM current_codes WHERE drop_reason IS NULL)
    GROUP BY codec, code
),
shares AS (
    SELECT *, frames / sum(frames) OVER (PARTITION BY codec, codebook) AS share
    FROM counts
)
SELECT
    codec,
    codebook,
    sum(frames)::BIGINT AS frames,
    count(*) AS entries_used,
    max(code) AS largest_entry,
    round(sum(share * log2(1 / share)), 4) AS entropy_bits,
    round(pow(2, sum(share * log2(1 / share))), 2) AS perplexity,
    arg_max(code, share) AS commonest_entry,
    round(max(share), 5) AS commonest_share
FROM shares
GROUP BY codec, codebook
ORDER BY codec, codebook;
