from temporem.report.held_out_section import held_out_section

SCORE = {"nats_per_frame": 12.345, "standard_error": 0.678, "frames": 40, "movies": 4}
FACTS = {
    "motion_found": True,
    "motion": "Motion found: <1 component>.",
    "time": "",
    "best_latent_dim": 1,
    "by_latent_dim": {"1": SCORE, "2": SCORE | {"nats_per_frame": 3.0}},
    "gain_of_time": {"1": SCORE, "2": SCORE},
}


def test_it_says_what_the_run_says() -> None:
    page = held_out_section(FACTS | {"of_volumes": {"volumes": "Better than the consensus.", **SCORE}})
    for words in ("&lt;1 component&gt;", "12.35 ± 0.68", "3.00 ± 0.68", "Better than the consensus."):
        assert words in page
    assert "<p></p>" not in page


def test_a_run_without_scores_has_no_section() -> None:
    assert held_out_section({}) == ""
    assert "Held-out" in held_out_section(FACTS)
