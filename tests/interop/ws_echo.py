"""A WebSocket echo server, behind TLS on one port and without on another. Usage: ws_echo.py websockets|autobahn PORT PLAIN CERTIFICATE KEY

PyPI `websockets` and `autobahn` (the library of the Autobahn test suite's authors) both pass that suite; messages are at most 16 MiB."""

import asyncio
import contextlib
import ssl
import sys

MOST = 16 * 1024 * 1024


async def websockets_server(port, plain, context):
    from websockets.asyncio.server import serve
    from websockets.exceptions import ConnectionClosed

    async def echo(socket):
        # However it ends: what was said of it is the client's to judge.
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                await socket.send(message)

    settings = {"max_size": MOST, "ping_interval": None, "server_header": None}
    async with serve(echo, "127.0.0.1", plain, **settings), serve(echo, "127.0.0.1", port, ssl=context, **settings):
        await asyncio.get_running_loop().create_future()


async def autobahn_server(port, plain, context):
    from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
    from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

    class Echo(WebSocketServerProtocol):
        def onMessage(self, payload, isBinary):
            self.sendMessage(payload, isBinary)

    def accept(offers):
        for offer in offers:
            if isinstance(offer, PerMessageDeflateOffer):
                return PerMessageDeflateOfferAccept(offer)

    factory = WebSocketServerFactory()
    factory.protocol = Echo
    factory.setProtocolOptions(perMessageCompressionAccept=accept, maxMessagePayloadSize=MOST, failByDrop=False)
    await asyncio.get_running_loop().create_server(factory, "127.0.0.1", plain)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    flavour, port, plain, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    run = {"websockets": websockets_server, "autobahn": autobahn_server}[flavour]
    asyncio.run(run(int(port), int(plain), context))
