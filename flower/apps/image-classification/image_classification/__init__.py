"""Classification of small images: one network, trained where the images are."""
