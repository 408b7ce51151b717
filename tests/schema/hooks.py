"""A click may hold its button for a minute and a text may be typed a character a minute: so long nobody waits here."""

import schemathesis

LONGEST = {"duration": 0.5, "interval": 0.05, "delay_ms": 100, "delay_between_actions": 100}


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict):
        for name, longest in LONGEST.items():
            value = case.body.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and longest < value <= 60000:
                case.body[name] = longest
