"""Starts the Truss server on loopback; its own start-up would bind every interface. Run inside the laid-out folder."""

import asyncio
import os

import uvicorn
from truss_server import TrussServer

port = int(os.environ["INFERENCE_SERVER_PORT"])
server = TrussServer(port, "config.yaml")
config = uvicorn.Config(server.create_application(), host="127.0.0.1", port=port, workers=1)
server._server = uvicorn.Server(config)
asyncio.run(server._server.serve())
