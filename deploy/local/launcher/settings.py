"""The environment in which the platform's processes run: addresses made from the ports, local defaults for the rest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from contracts.rabbitmq import OPERATOR
from dotenv import dotenv_values

from launcher.passwords import NAMES, passwords
from launcher.ports import DEFAULTS, LOOPBACK, SERVICES, replica_variable, replicas

ROOT = Path(__file__).resolve().parents[3]
RUNTIME = ROOT / ".runtime"
ENV_FILE = ROOT / ".env"

STRIPE_API = "https://api.stripe.com"
STRIPE_JS = "https://js.stripe.com/v3/"
STRIPE_PAGES = "https://js.stripe.com https://api.stripe.com https://hooks.stripe.com"

# The events that payment uses; the endpoint at Stripe must subscribe to the same ones.
WEBHOOK_EVENTS = (
    *("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"),
    *("refund.created", "refund.updated", "refund.failed", "charge.refunded"),
    *("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"),
)

GATEWAY_LIMITS = {
    "GATEWAY_API_RATE": "100r/s",
    "GATEWAY_API_BURST": "300",
    "GATEWAY_LOGIN_RATE": "2r/s",
    "GATEWAY_LOGIN_BURST": "20",
    "GATEWAY_HOLD_RATE": "5r/s",
    "GATEWAY_HOLD_BURST": "20",
    "GATEWAY_WEBHOOK_RATE": "500r/s",
    "GATEWAY_WEBHOOK_BURST": "5000",
    "GATEWAY_CONNECTIONS": "300",
}
# For tests and load, where all clients share one address.
NO_LIMITS = {name: "1000000" + ("r/s" if name.endswith("RATE") else "") for name in GATEWAY_LIMITS}
NO_LIMITS |= {"ADDRESS_ATTEMPTS": "1000000", "MAX_CONNECTIONS_PER_ADDRESS": "1000000"}
NO_LIMITS |= {"GATEWAY_CONNECTIONS": "65535"}  # nginx's maximum
NO_LIMITS |= {"HOLD_LIMIT_EXEMPT": "127.0.0.0/8"}

# The settings in `.env`, in addition to the ports and `<SERVICE>_REPLICAS`. `.env.example` explains them.
SETTINGS = (
    *("LOG_LEVEL", "PUBLIC_URL", "CORS_ORIGINS", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "RABBITMQ_PASSWORD", "MAIL_FROM"),
    *("HOLD_SECONDS", "HOLD_CAP_SECONDS", "PAYMENT_SECONDS", "SIGNING_KEY_PEM", "TICKET_SIGNING_KEY"),
    *("HOLDS_PER_HOLDER", "SEATS_PER_HOLDER", "HOLDS_PER_NETWORK", "SEATS_PER_NETWORK", "HOLD_LIMIT_EXEMPT"),
    *("ACCESS_TOKEN_SECONDS", "SESSION_DAYS", "VERIFICATION_HOURS", "RESET_MINUTES", "PASSWORD_WORKERS"),
    *("STAFF_SESSION_HOURS", "STAFF_IDLE_MINUTES", "FACTOR_REMOVAL_HOURS"),
    *("LINK_KEY", "TOTP_KEY", "IDENTITY_KEY", "CLAIM_KEY", "ORDER_KEY", "GIFT_CARD_KEY", "KEY_ROTATION_DAYS"),
    *("INVITATION_HOURS", "EXPORT_PATIENCE_SECONDS", "MESSAGE_DAYS"),
    *("MIN_PASSWORD_LENGTH", "SECOND_FACTOR_FOR_ADMINS", "ADDRESS_ATTEMPTS"),
    "MAX_CONNECTIONS_PER_ADDRESS",
    *("TMDB_TOKEN", "TMDB_URL", "TMDB_REQUESTS_PER_SECOND", "TMDB_LANGUAGE", "TMDB_REGION"),
    *("SMTP_HOST", "SMTP_USER", "SMTP_PASSWORD", "SMTP_SECURITY"),
    *("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "STRIPE_JS_URL"),
    *("APPLE_PASS_CERTIFICATE", "APPLE_PASS_KEY", "APPLE_ISSUER_CERTIFICATE"),
    *("GOOGLE_WALLET_ISSUER", "GOOGLE_WALLET_ACCOUNT"),
    *("GATEWAY_TRUSTED_PROXIES", "GATEWAY_TLS_CERTIFICATE", "GATEWAY_TLS_KEY", "GATEWAY_TLS_PORT"),
    *GATEWAY_LIMITS,
)
# The processes that get a secret; all others run without it. The tests compare this with the services' settings.
SECRETS: dict[str, tuple[str, ...]] = {
    "LINK_KEY": ("identity", "inventory", "booking", "payment", "notifier"),
    "TOTP_KEY": ("identity",),
    "IDENTITY_KEY": ("identity",),
    "CLAIM_KEY": ("inventory", "booking"),
    "ORDER_KEY": ("booking", "payment"),
    "GIFT_CARD_KEY": ("payment",),
    "SIGNING_KEY_PEM": ("identity",),
    "TICKET_SIGNING_KEY": ("booking",),
    "APPLE_PASS_KEY": ("booking",),
    "GOOGLE_WALLET_ACCOUNT": ("booking",),
    "TMDB_TOKEN": ("catalog",),
    "SMTP_PASSWORD": ("notifier",),
    "STRIPE_SECRET_KEY": ("payment", "stripe"),
    "STRIPE_WEBHOOK_SECRET": ("payment", "stripe"),
    "MONGO_URI": SERVICES,
    "RABBITMQ_URI": SERVICES,
    **dict.fromkeys(NAMES, ()),
}
COPIES = re.compile(rf"({'|'.join(SERVICES).upper()})_(REPLICAS|\d+_PORT)")


def given_settings() -> dict[str, str]:
    """Return the configured settings. This process's environment overrides `.env`; an empty value counts as unset."""
    known = {*DEFAULTS, *SETTINGS}
    from_process = {name: value for name, value in os.environ.items() if name in known or COPIES.fullmatch(name)}
    return {name: value for name, value in {**dotenv_values(ENV_FILE), **from_process}.items() if value}


def platform_environment(ports: Mapping[str, int], data: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the operator's environment of a platform with these ports and this data folder, with every secret.

    Each process gets its part of it (`process_environment`). `given` overrides the computed values. Of the calling
    process's environment, only variables that are no settings of the platform (PATH, HOME, OTEL_…) are passed on, so
    that two platforms never mix.
    """
    port = {name: f"{LOOPBACK}:{number}" for name, number in ports.items()}
    known = passwords(data) | {name: value for name, value in given.items() if name == "RABBITMQ_PASSWORD"}
    own = {
        **{name: str(number) for name, number in ports.items()},
        "USHER_DATA": str(data),
        "PATH": f"{RUNTIME / 'bin'}:{ROOT / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "LOG_LEVEL": "INFO",
        "MONGO_URI": f"mongodb://{OPERATOR}:{known['MONGO_PASSWORD']}@{port['MONGO_PORT']}/?replicaSet=usher",
        "RABBITMQ_URI": f"amqp://{OPERATOR}:{known['RABBITMQ_PASSWORD']}@{port['RABBITMQ_PORT']}/",
        "RABBITMQ_MANAGEMENT_URL": f"http://{port['RABBITMQ_MANAGEMENT_PORT']}",
        "PUBLIC_URL": f"http://{port['GATEWAY_PORT']}",
        "JWKS_URL": f"http://{port['IDENTITY_PORT']}/.well-known/jwks.json",
        "TOKEN_ISSUER": "https://usher.example",
        "TOKEN_AUDIENCE": "usher",
        "LINK_KEY": "usher-local-link-key",
        "TOTP_KEY": "usher-local-totp-key",
        "IDENTITY_KEY": "usher-local-identity-key",
        "CLAIM_KEY": "usher-local-claim-key",
        **{"HOLDS_PER_NETWORK": "60", "SEATS_PER_NETWORK": "400"},  # all visitors share one address
        "ORDER_KEY": "usher-local-order-key",
        "GIFT_CARD_KEY": "usher-local-gift-card-key",
        "SMTP_HOST": LOOPBACK,
        "MAIL_FROM": "Usher <tickets@usher.example>",
        "MAILBOX_URL": f"http://{port['MAILBOX_PORT']}",
        **_stripe(ports, given),
        **_rabbitmq(ports, data),
        **_gateway(ports, data, given),
    }
    inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return {**inherited, **own, **given, **known}


def process_environment(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return a process's part of the operator's environment: its own secrets only, and for a service its own users."""
    own = {key: value for key, value in environment.items() if name in SECRETS.get(key, (name,))}
    if name in SERVICES and (login := environment.get(f"{name.upper()}_PASSWORD")):
        for server in ("MONGO", "RABBITMQ"):
            operator = f"//{OPERATOR}:{environment[f'{server}_PASSWORD']}@"
            own[f"{server}_URI"] = environment[f"{server}_URI"].replace(operator, f"//{name}:{login}@")
        # The launcher declares the topology, unless RABBITMQ_URI names an external server.
        if own["RABBITMQ_URI"] != environment["RABBITMQ_URI"]:
            own["DECLARES_TOPOLOGY"] = "false"
    return own


def _stripe(ports: Mapping[str, int], given: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of Stripe if its secret key is set, otherwise of the sandbox."""
    sandbox = f"http://{LOOPBACK}:{ports['STRIPE_SANDBOX_PORT']}"
    real = "STRIPE_SECRET_KEY" in given and "STRIPE_API_BASE" not in given
    return {
        "STRIPE_SANDBOX_URL": sandbox,
        "SANDBOX_WEBHOOK_URL": f"http://{LOOPBACK}:{ports['GATEWAY_PORT']}/api/payments/webhook",
        "SANDBOX_WEBHOOK_EVENTS": ",".join(WEBHOOK_EVENTS),
        "STRIPE_API_BASE": STRIPE_API if real else sandbox,
        "STRIPE_JS_URL": STRIPE_JS if real else f"{sandbox}/v3/",
        "STRIPE_SECRET_KEY": "sk_test_usher",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_usher",
        "STRIPE_WEBHOOK_SECRET": "whsec_usher_local",
        "GATEWAY_STRIPE_ORIGINS": STRIPE_PAGES if real else sandbox,
    }


def _rabbitmq(ports: Mapping[str, int], data: Path) -> dict[str, str]:
    home = data / "rabbitmq"
    distribution = ports["RABBITMQ_DISTRIBUTION_PORT"]
    return {
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_NODENAME": "usher@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        # The start script execs the server, so signals reach the server itself.
        "RUNNING_UNDER_SYSTEMD": "true",
        # A node that knows its own port needs no epmd, a daemon that all Erlang programs of a machine share.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            f"-sname usher@localhost -start_epmd false -erl_epmd_port {distribution}"
            f" -kernel inet_dist_use_interface {{127,0,0,1}}"
            # One scheduler that does not busy-wait on cores that others need. It handles hundreds of bookings a second;
            # a second one would cost 40 % more CPU time.
            " +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
            f" -kernel inet_dist_listen_min {distribution} -kernel inet_dist_listen_max {distribution}"
        ),
    }


def _gateway(ports: Mapping[str, int], data: Path, given: Mapping[str, str]) -> dict[str, str]:
    copies = replicas(given)
    # The gateway avoids a replica that has just failed, but never all of them: deploy/gateway/README.md.
    uses = ("max_fails=2 fail_timeout=10s", "backup max_fails=0")
    upstreams: dict[str, str] = {}
    for service in SERVICES:
        variables = [replica_variable(service, number) for number in range(1, copies[service] + 1)]
        servers = [f"server {LOOPBACK}:{ports[variable]} {use};" for use in uses for variable in variables]
        upstreams[f"{service.upper()}_UPSTREAM"] = " ".join(servers)
    return {
        **upstreams,
        **GATEWAY_LIMITS,
        "GATEWAY_START": str(ROOT / "deploy/gateway/start.sh"),
        "GATEWAY_LISTEN": f"{LOOPBACK}:{ports['GATEWAY_PORT']}",
        "GATEWAY_TLS_LISTEN": f"{LOOPBACK}:{given.get('GATEWAY_TLS_PORT', '8443')}",
        "GATEWAY_STATE": str(data / "gateway"),
        "GATEWAY_WEB": str(ROOT / "web/dist"),
        "GATEWAY_DOCS": str(ROOT / "deploy/gateway/docs"),
        "GATEWAY_ASYNCAPI": str(ROOT / "docs/asyncapi.yaml"),
        "GATEWAY_LOG_COPY": "",  # the exporter reads the process's own log here
        # Otherwise nginx's workers would switch from root to a user who may not be able to read this checkout.
        "GATEWAY_GLOBALS": "daemon off;" + (" user root;" if os.geteuid() == 0 else ""),
    }
