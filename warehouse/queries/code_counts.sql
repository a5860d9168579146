-- How often is each entry of each codebook used?
SELECT codec, codebook, code, count(*) AS frames
FROM (
    SELECT codec, cast(substr(name, 2) AS INTEGER) AS codebook, unnest(codes) AS code
    FROM (
        UNPIVOT (SELECT codec, q0, q1, q2, q3, q4, q5, q6, q7 FROM current_codes WHERE drop_reason IS NULL)
        ON q0, q1, q2, q3, q4, q5, q6, q7 INTO NAME name VALUE codes
    )
)
GROUP BY ALL
ORDER BY codec, codebook, code;
