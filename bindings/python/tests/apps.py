"""Publishers' applications, as the servers in these tests run them. The environment has ORIGIN, STORE, more of POLICY."""

import json
import os

from imagxp import MemoryStore, Publisher
from imagxp.filestore import FileStore

POLICY = {"development": True, "allowRAG": True, "strategy": "STRICT"}


def paid():
    """The policy of what costs something."""
    policy = {
        **POLICY,
        "price": 0.001,
        "audiences": [os.environ["ORIGIN"].split("://")[1]],
        "visa_single_use": os.environ.get("SINGLE_USE") == "1",
    }
    if "BROKER" in os.environ:
        policy["monetization"] = {"brokerUrl": os.environ["BROKER"]}
    return policy


def publisher(policy=POLICY):
    path = os.environ.get("STORE")
    single = os.environ.get("SINGLE") == "1"
    store = FileStore(path, 1024) if path else MemoryStore(1024, single_worker=single, accept_from_ms=0)
    policy = {**policy, **json.loads(os.environ.get("POLICY", "{}"))}
    return Publisher(policy, origin=os.environ["ORIGIN"], store=store)


def fastapi_app():
    from fastapi import Depends, FastAPI
    from fastapi.responses import RedirectResponse

    from imagxp.fastapi import protect

    app = FastAPI()
    admitted = protect(app, publisher(paid() if "BROKER" in os.environ else POLICY))

    @app.get("/open")
    async def open_to_all():
        return {"open": True}

    @app.get("/moved", dependencies=[Depends(admitted)])
    async def moved():
        return RedirectResponse("/a?b=c")

    @app.get("/{path:path}")
    async def page(verdict=Depends(admitted)):
        return {"agent": verdict.agent_id, "proof": str(verdict.proof)}

    return app


def partly_paid_app():
    """Open to all, but for one route: by another publisher, that is to be paid."""
    from fastapi import Depends, FastAPI

    from imagxp.asgi import Middleware
    from imagxp.fastapi import protect

    app = FastAPI()
    paid = protect(app, publisher({**POLICY, "requiresPayment": True}))
    app.add_middleware(Middleware, publisher=publisher({**POLICY, "strategy": "PASSIVE"}))

    @app.get("/paid", dependencies=[Depends(paid), Depends(paid)])
    async def page():
        return {"paid": True}

    @app.get("/free")
    async def free():
        return {"paid": False}

    return app


def broker_app():
    """Sells a visa to whoever proves who it is."""
    from fastapi import Body, Depends, FastAPI, Request
    from fastapi.responses import Response

    from imagxp.broker import Issuer
    from imagxp.fastapi import protect

    app, issuer = FastAPI(), Issuer(os.environ["ORIGIN"], os.environ["KEY"])
    admitted = protect(app, publisher())

    @app.get("/.well-known/jwks.json")
    async def jwks():
        return Response(issuer.jwks(), media_type="application/json")

    @app.post("/issue-visa")
    async def issue(request: Request, verdict=Depends(admitted), order: dict = Body()):
        # Verified: the manifest lists it.
        key = request.headers["x-imagxp-public-key"]
        token = issuer.issue(order["publisher"], str(order["amount"]), agent_id=verdict.agent_id, public_key=key)
        return {"token": token, "header_name": "x-imagxp-credential"}

    return app


def asgi_app():
    from imagxp.asgi import Middleware

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        body = scope["imagxp"].agent_id.encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    return Middleware(app, publisher())


def wsgi_app():
    from imagxp.wsgi import Middleware

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["imagxp"].agent_id.encode()]

    return Middleware(app, publisher())


def flask_app():
    import flask

    from imagxp.wsgi import Middleware

    app = flask.Flask("apps")

    @app.get("/<path:path>")
    def page(path):
        return flask.request.environ["imagxp"].agent_id

    app.wsgi_app = Middleware(app.wsgi_app, publisher())
    return app


def _django():
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import re_path

    settings.configure(
        ALLOWED_HOSTS=["localhost"],
        ROOT_URLCONF=(re_path("", lambda request: HttpResponse(request.imagxp.agent_id)),),
        MIDDLEWARE=["imagxp.django.Middleware"],
        IMAGXP_PUBLISHER=publisher(),
    )
    django.setup()


def django_wsgi():
    _django()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def django_asgi():
    _django()
    from django.core.asgi import get_asgi_application

    return get_asgi_application()
