"""What is taken for one another: neighbouring keys, and characters that look or sound alike.

All tables were written for this project. Homoglyphs are Cyrillic and Greek letters that look like a
Latin one in most fonts; characters of one group differ by a stroke or a part (`SHAPE`) or are read
alike but for the tone (`SOUND`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

_ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))  # QWERTY, in keys
_REACH = 1.3  # of a finger that slips, in keys


def _keyboard() -> dict[str, str]:
    """The letters around each letter."""
    places = {
        key: (row, shift + column)
        for row, (keys, shift) in enumerate(_ROWS)
        for column, key in enumerate(keys)
    }
    near: dict[str, str] = dict.fromkeys(places, "")
    for (key, (row, x)), (other, (other_row, other_x)) in product(places.items(), repeat=2):
        if key != other and (row - other_row) ** 2 + (x - other_x) ** 2 < _REACH**2:
            near[key] += other
    return near | {key.upper(): others.upper() for key, others in near.items()}


KEYBOARD: Mapping[str, str] = _keyboard()

HOMOGLYPHS: Mapping[str, str] = dict(
    zip(
        "acdehijlopqsvwxyABCEHIJKMNOPSTXYZ",
        "асԁеһіјӏорԛѕѵԝхуАВСЕНІЈКМΝОРЅТХΥΖ",
        strict=True,
    )
)

SHAPE = (
    "己已巳 未末 土士 人入八 大太犬 日曰目 干千于 田由甲申 辨辩辫 侯候 戊戌戍 拔拨 治冶 "
    "晴睛 遗遣 享亨 贷货 析折 要耍 衰哀 栗粟 竟竞 崇祟 茶荼 刺剌 兔免 鸟乌 今令 历厉 牛午 "
    "问间 体休 自白 住往 部陪 找我 处外 各名 喝渴 师帅 木本 天夫 王玉主 刀力 几九 贝见 "
    "车东 乒乓 冰水 办为 风凤 孑子 买卖 壁璧 暖缓 徒徙 幻幼 受爱 密蜜 酒洒 浙淅 管菅 毫亳 "
    "育盲 笑哭"
)
SOUND = (
    "的地得 在再 做作坐座 他她它 那哪 像象向 事是市 和合河 有又友 近进 时实石十 知之只 "
    "会汇 理里李 道到 气汽期 长常 练炼 须需 必毕 圆园元员 平瓶 新心 名明 带戴 度渡 副付 "
    "决绝 即既 分份 账帐 震振 以已 工公功 生声 成城程 话画 情请清 学雪 同童 金今 式试 历力 "
    "利例 由油游 交叫 书输 快块 年念 机鸡 语雨 美每 天添 间见件 问文 国果 家加 大打"
)


def _confusions(groups: str) -> dict[str, str]:
    """The other characters of a character's groups."""
    found: dict[str, str] = {}
    for group in groups.split():
        for one in group:
            found[one] = found.get(one, "") + group.replace(one, "")
    return found


CONFUSIONS: Mapping[str, Mapping[str, str]] = {
    "shape": _confusions(SHAPE),
    "sound": _confusions(SOUND),
    "both": _confusions(f"{SHAPE} {SOUND}"),
}

HALF_WIDTH: Mapping[str, str] = dict(zip("，。！？；：（）", ",.!?;:()", strict=True))
FULL_WIDTH: Mapping[str, str] = {half: full for full, half in HALF_WIDTH.items()}

IRRELEVANT: Mapping[str, tuple[str, ...]] = {
    "latin": (
        "actually", "umbrella", "seven", "purple", "kitchen", "perhaps", "Tuesday", "bicycle",
        "quietly", "window", "sandwich", "meanwhile", "river", "pencil", "basically", "autumn",
    ),
    "han": (
        "其实", "雨伞", "七个", "紫色", "厨房", "也许", "星期二", "自行车",
        "悄悄", "窗户", "面包", "同时", "河边", "铅笔", "基本上", "秋天",
    ),
}  # fmt: skip
