"""``python -m oneflower.warm.supernode``: ``flower-supernode`` with its arguments."""

from oneflower.warm.launch import run

if __name__ == "__main__":
    run("flower-supernode")
