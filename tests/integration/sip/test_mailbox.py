"""The operator's mailbox: subscribed to where it has one, and what it tells becomes an event."""

import pytest

pytestmark = pytest.mark.e2e

MAILBOX = """
KIND = b"application/simple-message-summary"

def registered(driver, peer):
    driver.stack.perform(actions.Register("1001", 0))
    register = peer.receive(b"REGISTER")
    contact = re.search(rb"<[^>]+>", head(register, b"Contact"))[0]
    peer.answer(register, b"200 OK", more=b"Contact: " + contact + b";expires=60\\r\\n")
    driver.wait(events.Registered)

def waiting(driver):
    driver.stack.poll(100)
    return [[event.account, event.new, event.old] for event in driver.seen if isinstance(event, events.MessagesWaiting)]
"""


def test_a_mailbox_is_subscribed_to_once_and_each_of_its_words_is_told(script):
    result = script(
        MAILBOX
        + """
driver, peer = with_peer(mailbox=True)
registered(driver, peer)
subscribe = peer.receive(b"SUBSCRIBE")
peer.answer(subscribe, b"200 OK", more=b"Expires: 3600\\r\\n")
for number, body in enumerate((b"Messages-Waiting: yes\\r\\nVoice-Message: 2/1 (0/0)\\r\\n", b"nonsense",
                               b"Messages-Waiting: no\\r\\nVoice-Message: 0/3\\r\\n"), 1):
    more = b"Event: message-summary\\r\\nSubscription-State: active;expires=3600\\r\\n"
    peer.inside(subscribe, b"NOTIFY", more, body, number, KIND)
    peer.final()
again = peer.receive(b"SUBSCRIBE", 1000)
told = waiting(driver)
driver.stack.close()
say("done", package=head(subscribe, b"Event").decode(), told=told, again=again is not None)
""",
        60,
    )
    assert result["package"] == "message-summary"
    assert (result["told"], result["again"]) == ([["1001", 2, 1], ["1001", 0, 3]], False)


def test_without_a_mailbox_nothing_is_asked_and_what_comes_unasked_is_not_believed(script):
    result = script(
        MAILBOX
        + """
driver, peer = with_peer()
registered(driver, peer)
subscribe = peer.receive(b"SUBSCRIBE", 1000)
peer.request(b"NOTIFY sip:1001@127.0.0.1:%d" % driver.port, b"<sip:x@lab.example>;tag=n", b"<sip:1001@lab.example>",
             b"unasked", b"Event: message-summary\\r\\nSubscription-State: active\\r\\n",
             b"Messages-Waiting: yes\\r\\nVoice-Message: 9/9\\r\\n", 1, KIND)
peer.final()
told = waiting(driver)
driver.stack.close()
say("done", asked=subscribe is not None, told=told)
""",
        60,
    )
    assert (result["asked"], result["told"]) == (False, [])
