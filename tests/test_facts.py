from mi_probe.facts import amount, facts_html, fixed


def test_all_text_is_escaped():
    html = facts_html("<b>", [("<i>", "</td><script>")], "<u>&")
    for inside in ("&lt;b&gt;", "&lt;i&gt;", "&lt;/td&gt;&lt;script&gt;", "&lt;u&gt;&amp;"):
        assert inside in html
    assert "<script" not in html


def test_no_warning_no_paragraph():
    assert "<p>" not in facts_html("t", [("a", "b")])


def test_an_amount_names_its_unit():
    assert amount(0.5) == "0.500 nats"
    assert amount(0.5, (0.4, 0.6)) == "0.500 nats [0.400, 0.600]"


def test_nothing_has_no_sign():
    assert fixed(-0.0004) == "0.000"
    assert fixed(-0.0006) == "-0.001"
    assert fixed(-0.2, 0) == "0"
    assert fixed(float("-inf")) == "-inf"
    assert amount(-1e-9, (-2e-5, 0.6)) == "0.000 nats [0.000, 0.600]"
