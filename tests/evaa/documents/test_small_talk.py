"""Talk about talking is told from what says something, in English and German."""

import pytest

from evaa.documents.small_talk import gist, is_at_a_loss, statements, substance


@pytest.mark.parametrize(
    "words",
    [
        "Hm, I would love to help, but I really could not say.", "Nobody has ever asked me that, so I have no answer.",
        "I am not understanding this so well, we go on please.", "I don't know exactly how many, sorry.",
        "I honestly can't remember.", "No, I don't know.", "Oh, good question, I have no idea.",
        "I'm afraid I cannot answer that.", "We don\u2019t know yet.", "I\u2019d have to look it up.", "Let's skip it",
        "That is not my area, I'm afraid.", "Next question, please.", "I am sorry, I can't help you there.",
        "Das weiß ich leider nicht.", "Da bin ich überfragt.", "Das kann ich Ihnen leider nicht sagen.",
        "Gute Frage, das weiß ich nicht.", "Dazu habe ich nichts zu sagen.", "Das müsste ich erst nachfragen.",
        "Keine Ahnung, das hat mich noch nie jemand gefragt.", "Tut mir leid, da muss ich passen.",
    ],
)  # fmt: skip
def test_somebody_without_an_answer_is_at_a_loss(words: str) -> None:
    assert is_at_a_loss(words)


@pytest.mark.parametrize(
    "words",
    [
        "I don't know the exact number, maybe 40", "I don't know, forty?", "Nobody approves it", "We ask the manager",
        "I don't know, nobody.", "Not me, I don't know.", "I don't know, sometimes", "Today, I don't know", "Nothing",
        "Yes, but I can't say", "I think so", "Not that I know of.", "Nobody knows", "I would have to ask Anna",
        "We have to ask the tax adviser.", "We don't answer that.", "We skip it", "Pass it on", "Maybe", "Never",
        "I can't tell the customers apart", "We cannot say no to a customer", "I can't, IT does",
        "Weiß ich nicht, das macht Anna", "Niemand weiß das.", "Das fragen wir die Chefin.", "Nein", "",
    ],
)  # fmt: skip
def test_whatever_might_be_an_answer_is_none_of_it(words: str) -> None:
    assert not is_at_a_loss(words)


def test_thinking_aloud_is_left_out_of_an_answer() -> None:
    assert substance("Oh, that is a good question. We print labels.") == "We print labels."
    assert substance("Right, where do I begin. If it rains, we wait.") == "If it rains, we wait."
    assert substance("Gute Frage. Wir drucken.") == "Wir drucken."
    assert substance("Well, let me think.") == "Well, let me think.", "there is nothing else"
    assert substance("That is a good question of Anna's. We print.") == "That is a good question of Anna's. We print."


def test_a_yes_to_a_question_that_asks_for_it_is_kept() -> None:
    words = "Yes, I try to explain. Reminders come, too."
    assert substance(words, assent_counts=True) == "Yes. Reminders come, too."
    assert substance("Right, where do I begin. Anna.", assent_counts=True) == "Anna."
    assert substance(words) == "Reminders come, too."


def test_how_sure_somebody_is_stands_with_what_they_say() -> None:
    words = "I am not completely sure, but. It is Word. We print. I don't know more than that, I think."
    assert substance(words) == (
        "It is Word. (I am not completely sure.) We print. I don't know more than that, I think."
    )
    assert statements(substance(words))[0] == "It is Word. (I am not completely sure.)"
    assert substance("It is Word. I'm not sure. We print.") == "It is Word. I'm not sure. We print.", "unsure of which?"
    assert statements("I think it is like this. It is Word. We print.") == [
        "I think it is like this. It is Word.",
        "We print.",
    ]
    assert statements("It is Word. I'm not sure.") == ["It is Word. I'm not sure."]
    assert statements("I'm not sure.") == ["I'm not sure."]
    assert statements("") == []
    assert gist(words).startswith("It is Word. We print.")
    assert gist("I'm not sure.") == "I'm not sure."
