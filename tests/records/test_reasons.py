from workbench.records.reasons import BY_CODE, BY_NAME, MAX_REASONS, REASONS


def test_names_and_codes_are_used_once() -> None:
    assert len(BY_NAME) == len(REASONS)
    assert len(BY_CODE) == sum(reason.code != 0 for reason in REASONS)


def test_exactly_the_undecoded_reasons_have_a_code_that_fits() -> None:
    for reason in REASONS:
        assert (reason.code != 0) == (reason.kind == "undecoded"), reason.name
        assert 0 <= reason.code < MAX_REASONS


def test_every_reason_is_one_word_with_a_meaning() -> None:
    for reason in REASONS:
        assert reason.name.isidentifier()
        assert reason.name == reason.name.lower()
        assert reason.meaning
