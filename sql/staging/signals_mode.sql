/* model
description: >-
  How the words of this snapshot were cut: as `words` in warehouse.toml says, which a run gives as the variable words_mode;
  where nothing says it, the last of the modes in repository.signals by name. A table, so that a snapshot keeps what it was
  built by
kind: table
grain: [words_mode]
owner: team:data-platform
columns:
  words_mode: spacy_en, unicode or whitespace
*/
SELECT coalesce(getvariable('words_mode'), max(words_mode)) AS words_mode
FROM repository.signals
WHERE version = (SELECT max(version) FROM repository.signals)
