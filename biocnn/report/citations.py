"""References of the methods that an experiment may use, numbered in the order in which a text cites them."""

from typing import Final

_BPNET = (
    "Avsec Ž et al. Base-resolution models of transcription-factor binding reveal soft motif syntax. Nat Genet 53, "
    "354–366 (2021). doi:10.1038/s41588-021-00782-6"
)
_RCNN = (
    "Ren S, He K, Girshick R, Sun J. Faster R-CNN: towards real-time object detection with region proposal networks. "
    "NeurIPS 2015. arXiv:1506.01497"
)
REFERENCES: Final = {
    # networks, by name
    "AlexNet": "Krizhevsky A, Sutskever I, Hinton GE. ImageNet classification with deep convolutional neural "
    "networks. NeurIPS 2012; Commun ACM 60, 84–90 (2017). doi:10.1145/3065386",
    "Basset": "Kelley DR, Snoek J, Rinn JL. Basset: learning the regulatory code of the accessible genome with deep "
    "convolutional neural networks. Genome Res 26, 990–999 (2016). doi:10.1101/gr.200535.115",
    "BPNet": _BPNET,
    "CentreNet": "Zhou X, Wang D, Krähenbühl P. Objects as points. 2019. arXiv:1904.07850",
    "DanQ": "Quang D, Xie X. DanQ: a hybrid convolutional and recurrent deep neural network for quantifying the "
    "function of DNA sequences. Nucleic Acids Res 44, e107 (2016). doi:10.1093/nar/gkw226",
    "DeepBind": "Alipanahi B, Delong A, Weirauch MT, Frey BJ. Predicting the sequence specificities of DNA- and "
    "RNA-binding proteins by deep learning. Nat Biotechnol 33, 831–838 (2015). doi:10.1038/nbt.3300",
    "DilatedResNet": _BPNET,
    "FasterRCNN": _RCNN,
    "FCN": "Long J, Shelhamer E, Darrell T. Fully convolutional networks for semantic segmentation. CVPR 2015. "
    "doi:10.1109/CVPR.2015.7298965",
    "GoogLeNet": "Szegedy C et al. Going deeper with convolutions. CVPR 2015. doi:10.1109/CVPR.2015.7298594",
    "LeNet5": "LeCun Y, Bottou L, Bengio Y, Haffner P. Gradient-based learning applied to document recognition. Proc "
    "IEEE 86, 2278–2324 (1998). doi:10.1109/5.726791",
    "ResNet": "He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. CVPR 2016. "
    "doi:10.1109/CVPR.2016.90",
    "RPN": _RCNN,
    "UNet": "Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image segmentation. "
    "MICCAI 2015. doi:10.1007/978-3-319-24574-4_28",
    "VGG": "Simonyan K, Zisserman A. Very deep convolutional networks for large-scale image recognition. ICLR 2015. "
    "arXiv:1409.1556",
    "BagNetwork": "Ilse M, Tomczak JM, Welling M. Attention-based deep multiple instance learning. ICML 2018. "
    "arXiv:1802.04712",
    # training and prediction
    "adamw": "Loshchilov I, Hutter F. Decoupled weight decay regularization. ICLR 2019. arXiv:1711.05101",
    "one_cycle": "Smith LN, Topin N. Super-convergence: very fast training of neural networks using large learning "
    "rates. 2017. arXiv:1708.07120",
    "cosine": "Loshchilov I, Hutter F. SGDR: stochastic gradient descent with warm restarts. ICLR 2017. "
    "arXiv:1608.03983",
    "temperature": "Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML 2017. "
    "arXiv:1706.04599",
    "ensemble": "Lakshminarayanan B, Pritzel A, Blundell C. Simple and scalable predictive uncertainty estimation "
    "using deep ensembles. NeurIPS 2017. arXiv:1612.01474",
    "dropout": "Gal Y, Ghahramani Z. Dropout as a Bayesian approximation: representing model uncertainty in deep "
    "learning. ICML 2016. arXiv:1506.02142",
    "blind": "Krull A, Buchholz TO, Jug F. Noise2Void: learning denoising from single noisy images. CVPR 2019. "
    "arXiv:1811.10980",
    # evaluation
    "bootstrap": "Efron B. Bootstrap methods: another look at the jackknife. Ann Stat 7, 1–26 (1979). "
    "doi:10.1214/aos/1176344552",
    "panoptic_quality": "Kirillov A, He K, Girshick R, Rother C, Dollár P. Panoptic segmentation. CVPR 2019. "
    "arXiv:1801.00868",
    "aji": "Kumar N et al. A dataset and a technique for generalized nuclear segmentation for computational pathology. "
    "IEEE Trans Med Imaging 36, 1550–1560 (2017). doi:10.1109/TMI.2017.2677499",
    # explanation
    "matches": "Gupta S, Stamatoyannopoulos JA, Bailey TL, Noble WS. Quantifying similarity between motifs. "
    "Genome Biol 8, R24 (2007). doi:10.1186/gb-2007-8-2-r24",
    "deeplift": "Shrikumar A, Greenside P, Kundaje A. Learning important features through propagating activation "
    "differences. ICML 2017. arXiv:1704.02685",
    "integrated_gradients": "Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017. "
    "arXiv:1703.01365",
    "gradient": "Majdandzic A et al. Correcting gradient-based interpretations of deep neural networks for genomics. "
    "Genome Biol 24, 109 (2023). doi:10.1186/s13059-023-02956-3",
    "seqlets": "Shrikumar A et al. Technical note on transcription factor motif discovery from importance scores "
    "(TF-MoDISco). 2018. arXiv:1811.00416",
    "cam": "Selvaraju RR et al. Grad-CAM: visual explanations from deep networks via gradient-based localization. "
    "ICCV 2017. doi:10.1109/ICCV.2017.74",
    # software
    "torch": "Paszke A et al. PyTorch: an imperative style, high-performance deep learning library. NeurIPS 2019. "
    "arXiv:1912.01703",
    "snakemake": "Mölder F et al. Sustainable data analysis with Snakemake. F1000Research 10, 33 (2021). "
    "doi:10.12688/f1000research.29032.2",
}


class Citations:
    """References that were cited, in order."""

    def __init__(self) -> None:
        self._cited: list[str] = []

    def __call__(self, key: str) -> str:
        """Return the number of a reference in the text, for example " [2]"; "" if there is none of this key."""
        if key not in REFERENCES:
            return ""
        if REFERENCES[key] not in self._cited:
            self._cited.append(REFERENCES[key])
        return f" [{self._cited.index(REFERENCES[key]) + 1}]"

    @property
    def listed(self) -> list[str]:
        """The references with their numbers."""
        return [f"{i}. {reference}" for i, reference in enumerate(self._cited, 1)]
