"""The display name of a session: browser and operating system from the User-Agent header."""

import re

_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
MAX_DEVICE = 60


def device_of(user_agent: str) -> str:
    """A short name for a User-Agent header: "Firefox on Linux", an app's name, or nothing."""
    browser = next((name for sign, name in _BROWSERS.items() if f"{sign}/" in user_agent), "")
    system = next((name for sign, name in _SYSTEMS.items() if sign in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    product = re.match(r"[\w .+-]+", user_agent, re.ASCII)
    return browser or (product[0].strip()[:MAX_DEVICE] if product else "")
