"""What OneFlower runs inside Flower's app processes: events, data, models and the run of a ServerApp."""
