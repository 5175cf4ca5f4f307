"""Every function that the host indexes. What they do stands in `recserve`."""

from functools import partial

from azure.functions import AuthLevel, FunctionApp, HttpRequest, HttpResponse
from azure.functions.warmup import WarmUpContext

from recserve.bootstrap import Startup
from recserve.http_io import encode, read_json, read_params, respond
from recserve.openapi import describe
from recserve.schemas import (
    CatalogueRequest,
    Health,
    PopularRequest,
    RecommendRequest,
    RecommendUserRequest,
    SimilarRequest,
)

app = FunctionApp(http_auth_level=AuthLevel.FUNCTION)
startup = Startup()
answer = partial(respond, startup)


@app.route("recommend", methods=["POST"])
async def recommend(req: HttpRequest) -> HttpResponse:
    return await answer(
        "recommend", lambda s, timeline: s.recommend(read_json(req, RecommendRequest), timeline)
    )


@app.route("recommend/{user_id}", methods=["GET"])
async def recommend_user(req: HttpRequest) -> HttpResponse:
    return await answer(
        "recommend_user",
        lambda s, timeline: s.recommend(read_params(req, RecommendUserRequest).full(), timeline),
    )


@app.route("items", methods=["GET"])
async def items(req: HttpRequest) -> HttpResponse:
    return await answer("items", lambda s, timeline: s.search(read_params(req, CatalogueRequest), timeline))


@app.route("items/{item_id}/similar", methods=["GET"])
async def similar(req: HttpRequest) -> HttpResponse:
    return await answer("similar", lambda s, timeline: s.similar(read_params(req, SimilarRequest), timeline))


@app.route("popular", methods=["GET"])
async def popular(req: HttpRequest) -> HttpResponse:
    return await answer("popular", lambda s, timeline: s.popular(read_params(req, PopularRequest), timeline))


@app.route("models", methods=["GET"])
async def models(req: HttpRequest) -> HttpResponse:
    return await answer("models", lambda s, _: s.describe_models())


@app.route("health/live", methods=["GET"], auth_level=AuthLevel.ANONYMOUS)
async def health_live(req: HttpRequest) -> HttpResponse:
    return encode(Health(status="live"))


@app.route("health/ready", methods=["GET"], auth_level=AuthLevel.ANONYMOUS)
async def health_ready(req: HttpRequest) -> HttpResponse:
    return await answer("health_ready", lambda s, _: s.health(), wait_s=0)


@app.route("openapi.json", methods=["GET"], auth_level=AuthLevel.ANONYMOUS)
async def openapi(req: HttpRequest) -> HttpResponse:
    return encode(describe())


@app.warm_up_trigger("context")
async def warmup(context: WarmUpContext) -> None:
    await startup.warm_up()
