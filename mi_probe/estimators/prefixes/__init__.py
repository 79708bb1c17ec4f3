"""What each token and each prefix of a sequence tells of classes, held out."""
