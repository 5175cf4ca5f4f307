# The app as a container, instead of the package of `make package`:
#
#     docker build -t recserve .
#     docker run -p 7071:80 recserve
FROM mcr.microsoft.com/azure-functions/python:4-python3.13

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    PYTHONDONTWRITEBYTECODE=1

COPY requirements.txt /tmp/requirements.txt
RUN python -m pip install --no-cache-dir --requirement /tmp/requirements.txt

WORKDIR /home/site/wwwroot
COPY function_app.py host.json requirements.txt ./
COPY recserve recserve
COPY models models
# Compiled here, since no instance keeps what it compiles; never compared with sources that cannot change.
RUN python -m compileall -q --invalidation-mode unchecked-hash function_app.py recserve

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1/api/health/live', timeout=4)"]
