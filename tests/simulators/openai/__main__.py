"""Serves until the process is ended."""

import argparse
import threading

from tests.simulators.openai.server import KEY, OpenAISimulator


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Plays OpenAI's Images API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8321)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a picture takes")
    parser.add_argument("--images-per-minute", type=int, default=None)
    parser.add_argument("--imitates", choices=("openai", "other"), default="openai")
    parser.add_argument("--fresh", action="store_true", help="never the same picture twice")
    given = parser.parse_args()
    simulator = OpenAISimulator(
        given.latency,
        key=given.key,
        host=given.host,
        port=given.port,
        images_per_minute=given.images_per_minute,
        imitates=given.imitates,
        is_fresh=given.fresh,
    )
    print(f"OPENAI_BASE_URL={simulator.url} OPENAI_API_KEY={simulator.key}", flush=True)
    with simulator:
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
