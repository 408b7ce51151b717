"""A click may hold its button for a minute, a text may be typed a character a minute, and what is looked for may be waited for all day: so
long nobody waits here."""

import schemathesis

LONGEST = {"duration": 0.5, "interval": 0.05, "delay_ms": 100, "delay_between_actions": 100}
LOOKING = ("/api/automation/text/", "/api/automation/picture/", "/api/automation/screen/", "/api/zones")
WAIT = 0.2


def shorten(body, names, most):
    for name, value in body.items():
        if isinstance(value, dict):
            shorten(value, names, most)
        elif name in names and isinstance(value, (int, float)) and not isinstance(value, bool) and names[name] < value <= most:
            body[name] = names[name]


@schemathesis.hook
def before_call(context, case, kwargs):
    if not isinstance(case.body, dict):
        return
    shorten(case.body, LONGEST, 60000)
    if case.path.startswith(LOOKING):
        shorten(case.body, {"timeout": WAIT, "within": WAIT, "seconds": WAIT}, 86400)
        if case.path.endswith(("/wait", "/still", "/change")):
            case.body.setdefault("timeout", WAIT)
