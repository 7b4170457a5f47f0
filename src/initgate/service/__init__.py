"""The gate over HTTP. The only imports of FastAPI, uvicorn and prometheus_client."""
