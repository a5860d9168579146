-- Which words are spoken most often, how long are they, and how sure is their alignment?
SELECT
    plain_text(word) AS spoken,
    count(*) AS times,
    round(avg(duration), 3) AS mean_seconds,
    round(avg(confidence), 3) AS mean_confidence
FROM words
GROUP BY spoken
HAVING spoken <> ''
ORDER BY times DESC, spoken
LIMIT 100;
