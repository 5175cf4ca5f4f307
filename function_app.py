"""Every function that the host indexes. What they do stands in `recserve`."""

from recserve.process import cold_start, startup  # starts the process: before the first heavy import

# isort: split

from functools import partial

from azure.functions import AuthLevel, Context, FunctionApp, HttpRequest, HttpResponse, TimerRequest
from azure.functions.warmup import WarmUpContext

from recserve.http_io import encode, read_json, read_known, read_params, read_terms, respond
from recserve.schemas import (
    CatalogueRequest,
    EdgeFileRequest,
    EventsRequest,
    Health,
    PopularRequest,
    RecommendBatchRequest,
    RecommendRequest,
    RecommendUserRequest,
    ReloadRequest,
    SimilarRequest,
    UserRequest,
)
from recserve.settings import is_edge_public

IS_EDGE_PUBLIC = is_edge_public()
OF_EDGE = AuthLevel.ANONYMOUS if IS_EDGE_PUBLIC else AuthLevel.FUNCTION

app = FunctionApp(http_auth_level=AuthLevel.FUNCTION)
answer = partial(respond, startup)
answer_edge = partial(respond, startup, is_open=IS_EDGE_PUBLIC)
cold_start.timeline.mark("import function_app")


@app.route("recommend", methods=["POST"])
async def recommend(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "recommend",
        lambda s, timeline: s.recommend(read_json(req, RecommendRequest), read_terms(req), timeline),
        req,
        context,
    )


@app.route("recommend/batch", methods=["POST"])
async def recommend_batch(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "recommend_batch",
        lambda s, timeline: s.recommend_batch(
            read_json(req, RecommendBatchRequest), read_terms(req), timeline
        ),
        req,
        context,
    )


@app.route("recommend/{user_id}", methods=["GET"])
async def recommend_user(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "recommend_user",
        lambda s, timeline: s.recommend(
            read_params(req, RecommendUserRequest).full(), read_terms(req), timeline
        ),
        req,
        context,
    )


@app.route("events", methods=["POST"])
async def events(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "events", lambda s, timeline: s.record(read_json(req, EventsRequest), timeline), req, context
    )


@app.route("users/{user_id?}", methods=["GET"])
async def export_user(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "export_user",
        lambda s, timeline: s.users.export(read_params(req, UserRequest), timeline),
        req,
        context,
    )


@app.route("users/{user_id?}", methods=["DELETE"])
async def erase_user(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "erase_user", lambda s, timeline: s.users.erase(read_params(req, UserRequest), timeline), req, context
    )


@app.route("items", methods=["GET"])
async def items(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "items", lambda s, timeline: s.search(read_params(req, CatalogueRequest), timeline), req, context
    )


@app.route("items/{item_id}/similar", methods=["GET"])
async def similar(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "similar",
        lambda s, timeline: s.similar(read_params(req, SimilarRequest), read_terms(req), timeline),
        req,
        context,
    )


@app.route("popular", methods=["GET"])
async def popular(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "popular",
        lambda s, timeline: s.popular(read_params(req, PopularRequest), read_terms(req), timeline),
        req,
        context,
    )


@app.route("models", methods=["GET"])
async def models(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer("models", lambda s, _: s.inventory.models(), req, context)


@app.route("models/reload", methods=["POST"], auth_level=AuthLevel.ADMIN)
async def reload_models(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer(
        "reload_models",
        lambda s, timeline: s.inventory.reload(read_json(req, ReloadRequest), timeline),
        req,
        context,
    )


@app.route("edge/manifest", methods=["GET"], auth_level=OF_EDGE)
async def edge_manifest(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer_edge(
        "edge_manifest", lambda s, timeline: s.edge_manifest(read_known(req), timeline), req, context
    )


@app.route("edge/files/{name}", methods=["GET"], auth_level=OF_EDGE)
async def edge_file(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer_edge(
        "edge_file",
        lambda s, timeline: s.edge_file(read_params(req, EdgeFileRequest), read_known(req), timeline),
        req,
        context,
    )


@app.route("edge/demo", methods=["GET"], auth_level=OF_EDGE)
async def edge_demo(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer_edge(
        "edge_demo", lambda s, timeline: s.edge_demo(read_known(req), timeline), req, context
    )


@app.timer_trigger("timer", schedule="0 */5 * * * *", use_monitor=False)
async def reload_models_on_schedule(timer: TimerRequest) -> None:
    await startup.reload_models()


@app.route("health/live", methods=["GET"], auth_level=AuthLevel.ANONYMOUS)
async def health_live(req: HttpRequest) -> HttpResponse:
    return encode(Health(status="live"))


@app.route("health/ready", methods=["GET"], auth_level=AuthLevel.ANONYMOUS)
async def health_ready(req: HttpRequest, context: Context) -> HttpResponse:
    return await answer("health_ready", lambda s, _: s.inventory.health(), req, context, wait_s=0)


@app.route("openapi.json", methods=["GET"], auth_level=AuthLevel.ANONYMOUS)
async def openapi(req: HttpRequest) -> HttpResponse:
    from recserve.openapi import describe  # nobody waits for it at a start

    return encode(describe(is_edge_public=is_edge_public()))


@app.warm_up_trigger("context")
async def warmup(context: WarmUpContext) -> None:
    await startup.warm_up()
