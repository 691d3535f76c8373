"""``python -m oneflower.warm.superlink``: ``flower-superlink`` with its arguments."""

from oneflower.warm.launch import run

if __name__ == "__main__":
    run("flower-superlink")
