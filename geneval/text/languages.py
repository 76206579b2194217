"""Language codes in one form, so that `zh-CN`, `zho` and `zh` are the same language."""

from __future__ import annotations

import re

# ISO 639-2/3 codes of languages that have a code of two letters, as `code:code` or `code/code:code`
# where older codes and the single languages of a macrolanguage share one.
_THREE = """
afr:af amh:am arg:an ara/arb/arz/ary:ar asm:as aze/azj:az bak:ba bel:be bul:bg ben:bn bre:br bos:bs
cat:ca ces/cze:cs cym/wel:cy dan:da deu/ger:de dzo:dz ell/gre:el eng:en epo:eo spa:es est/ekk:et
eus/baq:eu fas/per/pes:fa fin:fi fao:fo fra/fre:fr fry:fy gle:ga gla:gd glg:gl guj:gu hau:ha heb:he
hin:hi hrv:hr hat:ht hun:hu hye/arm:hy ind:id ibo:ig isl/ice:is ita:it jpn:ja jav:jv kat/geo:ka
kaz:kk khm:km kan:kn kor:ko kur/kmr/sdh:ku kir:ky lat:la ltz:lb lug:lg lin:ln lao:lo lit:lt
lav/lvs/ltg:lv mlg/plt:mg mkd/mac:mk mal:ml mon/khk:mn mar:mr msa/may/zsm:ms mlt:mt mya/bur:my
nep/npi:ne nld/dut:nl nno/nob/nor/nn/nb:no oci:oc orm:om ori/ory:or pan:pa pol:pl pus/pbt:ps por:pt
que:qu ron/rum:ro rus:ru kin:rw san:sa sme:se sin:si slk/slo:sk slv:sl sna:sn som:so sqi/alb/als:sq
srp:sr sot:st swe:sv swa/swh:sw tam:ta tel:te tgk:tg tha:th tuk:tk tgl/fil:tl tur:tr tat:tt uig:ug
ukr:uk urd:ur uzb/uzn/uzs:uz vie:vi vol:vo wln:wa xho:xh yor:yo zho/chi/cmn/wuu/yue:zh zul:zu iw:he
in:id ji/yid:yi
"""
_CODES = {
    code: short
    for pair in _THREE.split()
    for codes, short in [pair.split(":")]
    for code in codes.split("/")
}


def language(code: str) -> str:
    """A language code in its shortest form, without region and script: `zh` of `zho_Hans`.

    A language of a macrolanguage is that one: `zh` of `yue`, `no` of `nb`. What is not known is
    only lower-cased.
    """
    own = re.split("[-_]", code.strip().lower())[0]
    return _CODES.get(own, own)
