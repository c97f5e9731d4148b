"""Names of what a step reports: what they mean, and which are watched in runs of version 0.1. No JAX here."""

import re

# A sentence on each term of a loss. A term is reported as it is descended on, weight included.
MEANINGS: dict[str, str] = {
    "d/supervised": "Cross-entropy of the step's labelled images; 0 where their classes are predicted with certainty.",
    "d/real": "How little the discriminator takes unlabelled images for real ones; 0 is best for it.",
    "d/fake": "How much the discriminator takes generated images for real ones; 0 is best for it.",
    "g/fool": "How little the discriminator takes generated images for real ones: high where it recognises them.",
    "d/entropy": "How undecided the classifier is about unlabelled images; 0 where it is certain of each.",
    "d/imbalance": "How unequally often the classes are predicted for unlabelled images; 0 where equally often.",
    "d/fake_certainty": "How certain the classifier is of generated images; 0 where all classes are equally probable.",
    "g/entropy": "How undecided the classifier is about generated images; the generator wants it to be certain.",
    "g/imbalance": "How unequally often the classes are predicted for generated images; 0 where equally often.",
    "g/features": "Distance between the mean features of generated and of unlabelled images; 0 where they agree.",
    "g/pull_away": "How similar the features of generated images are to one another; low where the images differ.",
    "d/manifold": "How fast the predicted classes change as the latents of generated images change.",
    "d/invariance": "How fast the predicted classes change along the manifold of generated images.",
    "d/consistency": "How far the classes of augmented unlabelled images are from those that the teacher predicts.",
    "d/generated": "Cross-entropy of generated images with the classes that they were to show.",
    "d/pairs": "Minus how little the discriminator of pairs takes the classifier's for real; low where it takes them.",
    "p/real": "How little the discriminator of pairs takes images and their classes for real; 0 is best for it.",
    "p/fake": "How much the discriminator of pairs takes generated images for real ones of their class.",
    "p/classifier": "How much the discriminator of pairs takes the classifier's pairs for real.",
    "p/gradient_penalty": "How steep the discriminator of pairs is at real images (R1).",
    "d/fairness": "Minus a cross-entropy of the teacher's and the classifier's class frequencies; at most 0.",
}

WATCHED = re.compile(r"[dgp]/(\w*accuracy|confident)")  # fractions of images, which no player descends
