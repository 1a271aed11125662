"""One stream client of PyPI: `clients.py NAME URL ENCODING`. Prints a line of JSON for each thing that it sees.

Where a library does not come back by itself, its user does, with the last id: that is the loop in `main`.
"""
import asyncio
import json
import logging
import sys
import time

name, url, encoding = sys.argv[1:]
HEADERS = {'Accept': 'text/event-stream', 'Accept-Encoding': encoding}


def say(**seen):
    print(json.dumps(seen), flush=True)


def saw(event, id_, data):
    say(event=event or 'message', id=id_, data=data)


def headers(last):
    return HEADERS if last is None else {**HEADERS, 'Last-Event-ID': last}


def by_lines(lines):
    """As most do by hand: `id`, `event` and `data` until a blank line."""
    fields = {}
    for line in lines:
        if line == '':
            if 'data' in fields:
                saw(fields.get('event'), fields.get('id', ''), fields['data'])
                if 'id' in fields:
                    yield fields['id']
            fields = {}
        elif not line.startswith(':'):
            field, _, value = line.partition(':')
            fields[field] = value.removeprefix(' ')


def requests_lines(last):
    import requests
    with requests.get(url, headers=headers(last), stream=True, timeout=60) as response:
        response.raise_for_status()
        # One byte at a time, as its documentation says for streams: by default it waits for 512.
        yield from by_lines(response.iter_lines(chunk_size=1, decode_unicode=True))


def requests_chunks(last):
    """What `chunk_size=None` gives: the chunks as they were sent."""
    import requests
    from sseclient import SSEClient
    with requests.get(url, headers=headers(last), stream=True, timeout=60) as response:
        response.raise_for_status()
        for event in SSEClient(response.iter_content(chunk_size=None)).events():
            saw(event.event, event.id, event.data)
            yield event.id


def sseclient_py(last):
    import requests
    from sseclient import SSEClient
    with requests.get(url, headers=headers(last), stream=True, timeout=60) as response:
        response.raise_for_status()
        for event in SSEClient(response).events():
            saw(event.event, event.id, event.data)
            yield event.id


def urllib3_chunks(last):
    import urllib3
    response = urllib3.PoolManager().request('GET', url, headers=headers(last), preload_content=False)
    if response.status != 200:
        raise RuntimeError(f'{response.status} {response.data.decode()}')
    from sseclient import SSEClient
    for event in SSEClient(response.stream(amt=2**16)).events():
        saw(event.event, event.id, event.data)
        yield event.id


def httpx_sse(last):
    import httpx
    from httpx_sse import connect_sse
    with httpx.Client(timeout=60) as client, connect_sse(client, 'GET', url, headers=headers(last)) as source:
        source.response.raise_for_status()
        for event in source.iter_sse():
            saw(event.event, event.id, event.data)
            if event.data:
                json.loads(event.data)
            yield event.id


def launchdarkly(last):
    """Comes back by itself."""
    from ld_eventsource import SSEClient
    from ld_eventsource.actions import Comment, Event, Fault, Start
    from ld_eventsource.config import ConnectStrategy, ErrorStrategy
    client = SSEClient(ConnectStrategy.http(url, headers=HEADERS), error_strategy=ErrorStrategy.always_continue())
    for action in client.all:
        if isinstance(action, Event):
            saw(action.event, action.last_event_id, action.data)
            yield action.last_event_id
        elif isinstance(action, Fault):
            say(error=str(action.error)) if action.error else say(end=True)


async def aiohttp_sse(last):
    """Comes back by itself."""
    from aiohttp_sse_client2.client import EventSource
    async with EventSource(url, headers=HEADERS, on_error=lambda: say(error='on_error')) as source:
        async for event in source:
            saw(event.type, event.last_event_id, event.data)


def main():
    logging.disable(logging.CRITICAL)
    if name == 'aiohttp-sse-client2':
        try:
            asyncio.run(aiohttp_sse(None))
        except Exception as error:
            say(error=f'{type(error).__name__}: {error}')
        return say(end=True)
    connect = {
        'requests iter_lines': requests_lines,
        'requests chunks': requests_chunks,
        'sseclient-py': sseclient_py,
        'urllib3': urllib3_chunks,
        'httpx-sse': httpx_sse,
        'launchdarkly-eventsource (Python)': launchdarkly,
    }[name]
    last = None
    while True:
        try:
            for id_ in connect(last):
                last = id_ or last
            say(end=True)
        except Exception as error:
            say(error=f'{type(error).__name__}: {error}')
        time.sleep(0.5)


main()
