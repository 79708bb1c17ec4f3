from mi_probe.facts import amount, facts_html


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
