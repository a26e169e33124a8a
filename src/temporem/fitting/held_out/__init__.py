"""What is known without a truth: how well frames are foretold by the other frames of their movies.

The score is a log likelihood of frames that were held out, in nats a frame above what one volume for all
frames, the consensus, gives them. Movies are the units: volumes come from some movies, and are scored on
others.
"""
