/* model
description: >-
  The rules that this warehouse exports by: sanity of text and language, then Gopher's, C4's and FineWeb's rules with
  thresholds for technical prose. READMEs, licences and docstrings hold identifiers, markup, lists of parameters and short
  lines, so the published thresholds, set for web pages, keep few of 2,431 documents of Python packages (fineweb 9 %,
  gopher 11 %); these keep 51 %. What falls: stubs of fewer than 30 words (28 %), near duplicates and copies (6 %), tables of
  numbers and code, text that repeats itself, wrong encodings. Curly brackets and missing terminal marks are no fault in technical prose; stop
  words are asked of English only
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  rules: >-
    reason, value, threshold, failed. Variables and defaults: house_min_filled_lines 1, house_max_replacements 0.001,
    house_max_control_chars 0.001, house_min_language_score 0.2, house_min_words 30, house_max_words 500000,
    house_min_mean_word 3, house_max_mean_word 10, house_max_hashes 0.1, house_max_ellipses 0.1, house_max_bullet_lines 0.9,
    house_max_ellipsis_lines 0.3, house_min_alpha_words 0.5, house_min_stop_words 2, house_max_duplicate_paragraphs 0.3,
    house_max_duplicate_lines 0.4, house_max_duplicate_line_chars 0.2, house_max_top_2_gram 0.2, house_max_top_3_gram 0.18,
    house_max_top_4_gram 0.16, house_max_duplicate_5_grams 0.4, house_max_duplicate_10_grams 0.25,
    house_max_lorem_ipsum_lines 0, house_max_policy_lines 0.1, house_min_terminal_lines 0.05, house_max_short_lines 0.85,
    house_max_newlines 0.4. Of lists in recipes/lists, 0 where there is none: house_max_blocked_url 0,
    house_max_soft_url_words 1, house_max_bad_words 0. house_max_common_lines 0.8: of the characters in lines of at least
    20 bytes, the share in those that more than common_paragraph_documents 6 documents hold (curation.paragraph_duplicates),
    which in this corpus are licences. contaminated, the last: 13-grams of the benchmark that the document meets most, 0 where none is
    registered, against contamination_max_ngrams 0, the variable of curation.contamination
*/
WITH thresholds AS (
    SELECT
        CAST(coalesce(getvariable('house_min_filled_lines'), 1) AS DOUBLE) AS filled,
        CAST(coalesce(getvariable('house_max_replacements'), 0.001) AS DOUBLE) AS replacements,
        CAST(coalesce(getvariable('house_max_control_chars'), 0.001) AS DOUBLE) AS controls,
        CAST(coalesce(getvariable('house_min_language_score'), 0.2) AS DOUBLE) AS language_score,
        CAST(coalesce(getvariable('house_min_words'), 30) AS DOUBLE) AS min_words,
        CAST(coalesce(getvariable('house_max_words'), 500000) AS DOUBLE) AS max_words,
        CAST(coalesce(getvariable('house_min_mean_word'), 3) AS DOUBLE) AS min_mean_word,
        CAST(coalesce(getvariable('house_max_mean_word'), 10) AS DOUBLE) AS max_mean_word,
        CAST(coalesce(getvariable('house_max_hashes'), 0.1) AS DOUBLE) AS hashes,
        CAST(coalesce(getvariable('house_max_ellipses'), 0.1) AS DOUBLE) AS ellipses,
        CAST(coalesce(getvariable('house_max_bullet_lines'), 0.9) AS DOUBLE) AS bullet_lines,
        CAST(coalesce(getvariable('house_max_ellipsis_lines'), 0.3) AS DOUBLE) AS ellipsis_lines,
        CAST(coalesce(getvariable('house_min_alpha_words'), 0.5) AS DOUBLE) AS alpha_words,
        CAST(coalesce(getvariable('house_min_stop_words'), 2) AS DOUBLE) AS stop_words,
        CAST(coalesce(getvariable('house_max_duplicate_paragraphs'), 0.3) AS DOUBLE) AS paragraphs,
        CAST(coalesce(getvariable('house_max_duplicate_lines'), 0.4) AS DOUBLE) AS lines,
        CAST(coalesce(getvariable('house_max_duplicate_line_chars'), 0.2) AS DOUBLE) AS line_chars,
        CAST(coalesce(getvariable('house_max_top_2_gram'), 0.2) AS DOUBLE) AS top_2,
        CAST(coalesce(getvariable('house_max_top_3_gram'), 0.18) AS DOUBLE) AS top_3,
        CAST(coalesce(getvariable('house_max_top_4_gram'), 0.16) AS DOUBLE) AS top_4,
        CAST(coalesce(getvariable('house_max_duplicate_5_grams'), 0.4) AS DOUBLE) AS duplicate_5,
        CAST(coalesce(getvariable('house_max_duplicate_10_grams'), 0.25) AS DOUBLE) AS duplicate_10,
        CAST(coalesce(getvariable('house_max_lorem_ipsum_lines'), 0) AS DOUBLE) AS lorem,
        CAST(coalesce(getvariable('house_max_policy_lines'), 0.1) AS DOUBLE) AS policy,
        CAST(coalesce(getvariable('house_min_terminal_lines'), 0.05) AS DOUBLE) AS terminal,
        CAST(coalesce(getvariable('house_max_short_lines'), 0.85) AS DOUBLE) AS short,
        CAST(coalesce(getvariable('house_max_newlines'), 0.4) AS DOUBLE) AS newlines,
        CAST(coalesce(getvariable('house_max_blocked_url'), 0) AS DOUBLE) AS blocked_url,
        CAST(coalesce(getvariable('house_max_soft_url_words'), 1) AS DOUBLE) AS soft_url_words,
        CAST(coalesce(getvariable('house_max_bad_words'), 0) AS DOUBLE) AS bad_words,
        CAST(coalesce(getvariable('house_max_common_lines'), 0.8) AS DOUBLE) AS common_lines,
        CAST(coalesce(getvariable('contamination_max_ngrams'), 0) AS DOUBLE) AS ngrams
),
contaminations AS (
    SELECT doc_id, max(ngrams) AS ngrams FROM curation.contamination GROUP BY doc_id
),
shared AS (
    SELECT doc_id, common_chars / chars AS common FROM curation.paragraph_duplicates WHERE common_chars > 0
),
measured AS (
    SELECT
        doc_id,
        CAST(filled_lines AS DOUBLE) AS filled,
        coalesce(replacement_chars / nullif(chars - carriage_returns, 0), 0) AS replacements,
        coalesce(control_chars / nullif(chars - carriage_returns, 0), 0) AS controls,
        coalesce(language_score, 0) AS language_score,
        CAST(plain_words AS DOUBLE) AS plain_words,
        coalesce(plain_word_chars / nullif(plain_words, 0), 0) AS mean_word,
        coalesce(hashes / nullif(words, 0), 0) AS hashes,
        coalesce(ellipses / nullif(words, 0), 0) AS ellipses,
        coalesce(bullet_lines / nullif(lines, 0), 0) AS bullet_lines,
        coalesce(ellipsis_lines / nullif(lines, 0), 0) AS ellipsis_lines,
        coalesce(alpha_words / nullif(words, 0), 0) AS alpha_words,
        CAST(stop_words AS DOUBLE) AS stop_words,
        language = 'en' AS english,
        coalesce(feed_duplicate_paragraphs / nullif(feed_paragraphs, 0), 0) AS paragraphs,
        coalesce(feed_duplicate_lines / nullif(feed_split_lines, 0), 0) AS lines,
        coalesce(feed_duplicate_line_chars / nullif(chars - carriage_returns, 0), 0) AS line_chars,
        coalesce(top_2_gram_chars / nullif(chars - carriage_returns, 0), 0) AS top_2,
        coalesce(top_3_gram_chars / nullif(chars - carriage_returns, 0), 0) AS top_3,
        coalesce(top_4_gram_chars / nullif(chars - carriage_returns, 0), 0) AS top_4,
        coalesce(duplicate_5_gram_chars / nullif(chars - carriage_returns, 0), 0) AS duplicate_5,
        coalesce(duplicate_10_gram_chars / nullif(chars - carriage_returns, 0), 0) AS duplicate_10,
        CAST(c4_open_lorem_ipsum_lines AS DOUBLE) AS lorem,
        coalesce(c4_open_policy_lines / nullif(lines, 0), 0) AS policy,
        coalesce(feed_terminal_lines / nullif(filled_lines, 0), 0) AS terminal,
        coalesce(feed_short_lines / nullif(filled_lines, 0), 0) AS short,
        coalesce(newlines / nullif(words, 0), 0) AS newlines,
        CAST(coalesce(url_matches, 0) AS DOUBLE) AS blocked_url,
        CAST(coalesce(soft_url_words, 0) AS DOUBLE) AS soft_url_words,
        CAST(coalesce(word_matches, 0) AS DOUBLE) AS bad_words,
        coalesce(common, 0) AS common_lines,
        CAST(coalesce(ngrams, 0) AS DOUBLE) AS ngrams
    FROM staging.current_signals
    LEFT JOIN contaminations USING (doc_id)
    LEFT JOIN curation.list_matches USING (doc_id)
    LEFT JOIN shared USING (doc_id)
)
SELECT
    m.doc_id,
    [
        {'reason': 'empty', 'value': m.filled, 'threshold': t.filled, 'failed': m.filled < t.filled},
        {'reason': 'wrong_decoding', 'value': m.replacements, 'threshold': t.replacements,
         'failed': m.replacements > t.replacements},
        {'reason': 'control_characters', 'value': m.controls, 'threshold': t.controls,
         'failed': m.controls > t.controls},
        {'reason': 'gopher_short_doc', 'value': m.plain_words, 'threshold': t.min_words,
         'failed': m.plain_words < t.min_words},
        {'reason': 'gopher_long_doc', 'value': m.plain_words, 'threshold': t.max_words,
         'failed': m.plain_words > t.max_words},
        {'reason': 'language_score', 'value': m.language_score, 'threshold': t.language_score,
         'failed': m.language_score < t.language_score},
        {'reason': 'gopher_below_avg_threshold', 'value': m.mean_word, 'threshold': t.min_mean_word,
         'failed': m.mean_word < t.min_mean_word},
        {'reason': 'gopher_above_avg_threshold', 'value': m.mean_word, 'threshold': t.max_mean_word,
         'failed': m.mean_word > t.max_mean_word},
        {'reason': 'gopher_too_many_hashes', 'value': m.hashes, 'threshold': t.hashes, 'failed': m.hashes > t.hashes},
        {'reason': 'gopher_too_many_ellipsis', 'value': m.ellipses, 'threshold': t.ellipses,
         'failed': m.ellipses > t.ellipses},
        {'reason': 'gopher_too_many_bullets', 'value': m.bullet_lines, 'threshold': t.bullet_lines,
         'failed': m.bullet_lines > t.bullet_lines},
        {'reason': 'gopher_too_many_end_ellipsis', 'value': m.ellipsis_lines, 'threshold': t.ellipsis_lines,
         'failed': m.ellipsis_lines > t.ellipsis_lines},
        {'reason': 'gopher_below_alpha_threshold', 'value': m.alpha_words, 'threshold': t.alpha_words,
         'failed': m.alpha_words < t.alpha_words},
        {'reason': 'gopher_enough_stop_words', 'value': m.stop_words, 'threshold': t.stop_words,
         'failed': coalesce(m.english, false) AND m.stop_words < t.stop_words},
        {'reason': 'dup_para_frac', 'value': m.paragraphs, 'threshold': t.paragraphs,
         'failed': m.paragraphs > t.paragraphs},
        {'reason': 'dup_line_frac', 'value': m.lines, 'threshold': t.lines, 'failed': m.lines > t.lines},
        {'reason': 'dup_line_char_frac', 'value': m.line_chars, 'threshold': t.line_chars,
         'failed': m.line_chars > t.line_chars},
        {'reason': 'top_2_gram', 'value': m.top_2, 'threshold': t.top_2, 'failed': m.top_2 > t.top_2},
        {'reason': 'top_3_gram', 'value': m.top_3, 'threshold': t.top_3, 'failed': m.top_3 > t.top_3},
        {'reason': 'top_4_gram', 'value': m.top_4, 'threshold': t.top_4, 'failed': m.top_4 > t.top_4},
        {'reason': 'duplicated_5_n_grams', 'value': m.duplicate_5, 'threshold': t.duplicate_5,
         'failed': m.duplicate_5 > t.duplicate_5},
        {'reason': 'duplicated_10_n_grams', 'value': m.duplicate_10, 'threshold': t.duplicate_10,
         'failed': m.duplicate_10 > t.duplicate_10},
        {'reason': 'lorem_ipsum', 'value': m.lorem, 'threshold': t.lorem, 'failed': m.lorem > t.lorem},
        {'reason': 'policy_lines', 'value': m.policy, 'threshold': t.policy, 'failed': m.policy > t.policy},
        {'reason': 'line_punct_ratio', 'value': m.terminal, 'threshold': t.terminal, 'failed': m.terminal < t.terminal},
        {'reason': 'short_line_ratio', 'value': m.short, 'threshold': t.short, 'failed': m.short > t.short},
        {'reason': 'list_ratio', 'value': m.newlines, 'threshold': t.newlines, 'failed': m.newlines > t.newlines},
        {'reason': 'blocked_url', 'value': m.blocked_url, 'threshold': t.blocked_url,
         'failed': m.blocked_url > t.blocked_url},
        {'reason': 'soft_url_words', 'value': m.soft_url_words, 'threshold': t.soft_url_words,
         'failed': m.soft_url_words > t.soft_url_words},
        {'reason': 'bad_words', 'value': m.bad_words, 'threshold': t.bad_words, 'failed': m.bad_words > t.bad_words},
        {'reason': 'common_lines', 'value': m.common_lines, 'threshold': t.common_lines,
         'failed': m.common_lines > t.common_lines},
        {'reason': 'contaminated', 'value': m.ngrams, 'threshold': t.ngrams, 'failed': m.ngrams > t.ngrams}
    ] AS rules
FROM measured AS m
CROSS JOIN thresholds AS t
