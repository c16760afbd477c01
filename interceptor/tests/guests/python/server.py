"""Answers lines with their reverse, until it is told to stop."""
import asyncio
import sys


async def main():
    stopped = asyncio.Event()

    async def serve(reader, writer):
        while line := await reader.readline():
            word = line.decode().strip()
            if word == "stop":
                stopped.set()
                break
            await asyncio.sleep(0.001 * (len(word) % 3))
            writer.write((word[::-1] + "\n").encode())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, sys.argv[1], 7000):
        await stopped.wait()
    print("server stopped")


asyncio.run(main())
