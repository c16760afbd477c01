"""Asks from several tasks at once, and counts the right answers."""
import asyncio
import random
import sys
import threading


async def connect():
    while True:
        try:
            return await asyncio.open_connection(sys.argv[1], 7000)
        except OSError:
            await asyncio.sleep(0.05)


async def ask(task):
    reader, writer = await connect()
    right = 0
    for _ in range(5):
        word = "%d-%d" % (task, random.randrange(10**9))
        writer.write((word + "\n").encode())
        right += (await reader.readline()).decode().strip() == word[::-1]
    writer.close()
    return right


async def main():
    print("right", await asyncio.gather(*[ask(task) for task in range(4)]))
    _, writer = await connect()
    writer.write(b"stop\n")
    await writer.drain()
    writer.close()
    print("sum", await asyncio.to_thread(sum, range(1000)))


asyncio.run(main())
done = threading.Event()
threading.Timer(0.02, done.set).start()
print("timer", done.wait(5))
