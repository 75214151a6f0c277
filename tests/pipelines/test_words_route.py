"""Texts without spaces pass through a whole run in each mode of words, and a snapshot never mixes two modes."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.run import run_assets
from warehouse.project import Project, load
from warehouse.publish import connect_current
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

SPOKEN = {
    "ja": "川のほとりの古い水車小屋では、毎朝パンが焼かれ、村の人たちがその香りで目を覚ましていた。"
    "ある年の冬、川が凍って水車が止まったので、粉ひきは子どもたちに氷を割る手伝いを頼んだ。",
    "zh": "山脚下的小镇每逢春天都会举行集市,人们带来自家种的蔬菜、手工编的篮子和刚酿好的米酒。"
    "孩子们在桥上放风筝,老人坐在树下讲从前的故事,直到太阳落到西边的山后面。",
    "th": "ชาวประมงออกเรือก่อนรุ่งสางเพื่อจับปลาในอ่าวที่เงียบสงบและกลับมาเมื่อแดดเริ่มร้อน"
    "ตลาดริมน้ำจึงมีปลาสดขายทุกเช้าและมีเสียงพูดคุยของแม่ค้าตลอดทั้งวัน",
}


def project_in(folder: Path, words: str) -> Project:
    (folder / "recipes/sources").mkdir(parents=True, exist_ok=True)
    (folder / "recipes/sources/spoken.yaml").write_text("uri: spoken.jsonl\nlicence: CC0-1.0\n")
    rows = [{"uri": language, "text": text * 20} for language, text in SPOKEN.items()]
    (folder / "spoken.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "warehouse.toml").write_text(f'words = "{words}"\n')
    return load(folder)


def published(project: Project) -> list[tuple[object, ...]]:
    with connect_current(project.published, "prod") as con:
        sql = "SELECT words_mode, language, longest_word FROM staging.current_signals ORDER BY language"
        return fetch_all(con, sql)


def measured(project: Project) -> int:
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("signals")])
        return int(fetch_all(con, "SELECT count(*) FROM repository.signals")[0][0])


def test_texts_without_spaces_are_published_in_each_mode_and_measured_once_in_each(memory_folder: Path) -> None:
    folder = memory_folder / "spoken"
    project = project_in(folder, "spacy_en")
    run_assets(project)
    english = published(project)
    assert [row[:2] for row in english] == [("spacy_en", "ja"), ("spacy_en", "th"), ("spacy_en", "zh")]
    assert max(row[2] for row in english) > 1000
    unicode = project_in(folder, "unicode")
    run_assets(unicode, ["repository/signals", "repository/pairs", "published/snapshot"])
    assert [row[0] for row in published(unicode)] == ["unicode"] * 3
    assert measured(unicode) == 6
    assert {row[:2] for row in published(project_in(folder, "spacy_en"))} == {("unicode", row[1]) for row in english}
    run_assets(load(folder), ["repository/signals", "published/snapshot"])
    assert published(load(folder)) == english
    assert measured(load(folder)) == 6
