"""The papers behind metrics, networks and protocols, by the identifier they are cited by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper: key of its BibTeX entry, authors, title, year."""

    key: str
    authors: str
    title: str
    year: int

    @property
    def short(self) -> str:
        """The authors' family names and the year, as in running text."""
        names = [name.split(",")[0] for name in self.authors.split(" and ")]
        several = len(names) > 2 or "others" in names
        told = f"{names[0]} et al." if several else " and ".join(names)
        return f"{told}, {self.year}"

    def bibtex(self, identifier: str) -> str:
        """The entry; `identifier` is `arXiv:NUMBER`."""
        number = identifier.removeprefix("arXiv:")
        return (
            f"@misc{{{self.key},\n  author = {{{self.authors}}},\n  title = {{{self.title}}},\n"
            f"  year = {{{self.year}}},\n  eprint = {{{number}}},\n  archivePrefix = {{arXiv}}\n}}"
        )


PAPERS: Mapping[str, Paper] = {
    "arXiv:0902.2206": Paper(
        "weinberger2009hashing",
        "Weinberger, Kilian and Dasgupta, Anirban and Attenberg, Josh and Langford, John and "
        "Smola, Alex",
        "Feature Hashing for Large Scale Multitask Learning",
        2009,
    ),
    "arXiv:1409.1556": Paper(
        "simonyan2014vgg",
        "Simonyan, Karen and Zisserman, Andrew",
        "Very Deep Convolutional Networks for Large-Scale Image Recognition",
        2014,
    ),
    "arXiv:1411.5726": Paper(
        "vedantam2015cider",
        "Vedantam, Ramakrishna and Zitnick, C. Lawrence and Parikh, Devi",
        "CIDEr: Consensus-based Image Description Evaluation",
        2015,
    ),
    "arXiv:1510.03055": Paper(
        "li2016distinct",
        "Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill",
        "A Diversity-Promoting Objective Function for Neural Conversation Models",
        2016,
    ),
    "arXiv:1512.00567": Paper(
        "szegedy2015inception",
        "Szegedy, Christian and Vanhoucke, Vincent and Ioffe, Sergey and Shlens, Jonathon and "
        "Wojna, Zbigniew",
        "Rethinking the Inception Architecture for Computer Vision",
        2015,
    ),
    "arXiv:1606.03498": Paper(
        "salimans2016is",
        "Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, "
        "Alec and Chen, Xi",
        "Improved Techniques for Training GANs",
        2016,
    ),
    "arXiv:1606.05250": Paper(
        "rajpurkar2016squad",
        "Rajpurkar, Pranav and Zhang, Jian and Lopyrev, Konstantin and Liang, Percy",
        "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
        2016,
    ),
    "arXiv:1610.06545": Paper(
        "lopezpaz2017twosample",
        "Lopez-Paz, David and Oquab, Maxime",
        "Revisiting Classifier Two-Sample Tests",
        2017,
    ),
    "arXiv:1612.02136": Paper(
        "che2016modes",
        "Che, Tong and Li, Yanran and Jacob, Athul Paul and Bengio, Yoshua and Li, Wenjie",
        "Mode Regularized Generative Adversarial Networks",
        2016,
    ),
    "arXiv:1706.06083": Paper(
        "madry2018pgd",
        "Madry, Aleksander and Makelov, Aleksandar and Schmidt, Ludwig and Tsipras, Dimitris "
        "and Vladu, Adrian",
        "Towards Deep Learning Models Resistant to Adversarial Attacks",
        2018,
    ),
    "arXiv:1706.08224": Paper(
        "arora2017birthday",
        "Arora, Sanjeev and Zhang, Yi",
        "Do GANs actually learn the distribution? An empirical study",
        2017,
    ),
    "arXiv:1706.08500": Paper(
        "heusel2017fid",
        "Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and "
        "Hochreiter, Sepp",
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
        2017,
    ),
    "arXiv:1711.10485": Paper(
        "xu2017attngan",
        "Xu, Tao and Zhang, Pengchuan and Huang, Qiuyuan and Zhang, Han and Gan, Zhe and Huang, "
        "Xiaolei and He, Xiaodong",
        "AttnGAN: Fine-Grained Text to Image Generation with Attentional Generative Adversarial "
        "Networks",
        2017,
    ),
    "arXiv:1801.01401": Paper(
        "binkowski2018kid",
        "Bińkowski, Mikołaj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur",
        "Demystifying MMD GANs",
        2018,
    ),
    "arXiv:1801.03924": Paper(
        "zhang2018lpips",
        "Zhang, Richard and Isola, Phillip and Efros, Alexei A. and Shechtman, Eli and Wang, "
        "Oliver",
        "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
        2018,
    ),
    "arXiv:1802.01886": Paper(
        "zhu2018texygen",
        "Zhu, Yaoming and Lu, Sidi and Zheng, Lei and Guo, Jiaxian and Zhang, Weinan and Wang, Jun "
        "and Yu, Yong",
        "Texygen: A Benchmarking Platform for Text Generation Models",
        2018,
    ),
    "arXiv:1804.08771": Paper(
        "post2018sacrebleu",
        "Post, Matt",
        "A Call for Clarity in Reporting BLEU Scores",
        2018,
    ),
    "arXiv:1805.12462": Paper(
        "richardson2018ndb",
        "Richardson, Eitan and Weiss, Yair",
        "On GANs and GMMs",
        2018,
    ),
    "arXiv:1812.04948": Paper(
        "karras2018stylegan",
        "Karras, Tero and Laine, Samuli and Aila, Timo",
        "A Style-Based Generator Architecture for Generative Adversarial Networks",
        2018,
    ),
    "arXiv:1904.06991": Paper(
        "kynkaanniemi2019pr",
        "Kynkäänniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, "
        "Timo",
        "Improved Precision and Recall Metric for Assessing Generative Models",
        2019,
    ),
    "arXiv:1908.04319": Paper(
        "welleck2020unlikelihood",
        "Welleck, Sean and Kulikov, Ilia and Roller, Stephen and Dinan, Emily and Cho, Kyunghyun "
        "and Weston, Jason",
        "Neural Text Generation with Unlikelihood Training",
        2020,
    ),
    "arXiv:1911.07023": Paper(
        "chong2019infinity",
        "Chong, Min Jin and Forsyth, David",
        "Effectively Unbiased FID and Inception Score and Where to Find Them",
        2019,
    ),
    "arXiv:2002.09797": Paper(
        "naeem2020prdc",
        "Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, "
        "Jaejun",
        "Reliable Fidelity and Diversity Metrics for Generative Models",
        2020,
    ),
    "arXiv:2004.05675": Paper(
        "meehan2020copying",
        "Meehan, Casey and Chaudhuri, Kamalika and Dasgupta, Sanjoy",
        "A Non-Parametric Test to Detect Data-Copying in Generative Models",
        2020,
    ),
    "arXiv:2102.08921": Paper(
        "alaa2022authenticity",
        "Alaa, Ahmed and van Breugel, Boris and Saveliev, Evgeny and van der Schaar, Mihaela",
        "How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing "
        "Generative Models",
        2022,
    ),
    "arXiv:2103.00020": Paper(
        "radford2021clip",
        "Radford, Alec and Kim, Jong Wook and Hallacy, Chris and Ramesh, Aditya and Goh, Gabriel "
        "and Agarwal, Sandhini and Sastry, Girish and Askell, Amanda and Mishkin, Pamela and "
        "Clark, Jack and Krueger, Gretchen and Sutskever, Ilya",
        "Learning Transferable Visual Models From Natural Language Supervision",
        2021,
    ),
    "arXiv:2103.03841": Paper(
        "nash2021sfid",
        "Nash, Charlie and Menick, Jacob and Dieleman, Sander and Battaglia, Peter W.",
        "Generating Images with Sparse Representations",
        2021,
    ),
    "arXiv:2104.08718": Paper(
        "hessel2021clipscore",
        "Hessel, Jack and Holtzman, Ari and Forbes, Maxwell and Le Bras, Ronan and Choi, Yejin",
        "CLIPScore: A Reference-free Evaluation Metric for Image Captioning",
        2021,
    ),
    "arXiv:2104.11222": Paper(
        "parmar2021cleanfid",
        "Parmar, Gaurav and Zhang, Richard and Zhu, Jun-Yan",
        "On Aliased Resizing and Surprising Subtleties in GAN Evaluation",
        2021,
    ),
    "arXiv:2105.05233": Paper(
        "dhariwal2021adm",
        "Dhariwal, Prafulla and Nichol, Alex",
        "Diffusion Models Beat GANs on Image Synthesis",
        2021,
    ),
    "arXiv:2106.03062": Paper(
        "bai2021mifid",
        "Bai, Ching-Yuan and Lin, Hsuan-Tien and Raffel, Colin and Kan, Wendy Chih-wen",
        "On Training Sample Memorization: Lessons from Benchmarking Generative Modeling with a "
        "Large-scale Competition",
        2021,
    ),
    "arXiv:1904.09675": Paper(
        "zhang2020bertscore",
        "Zhang, Tianyi and Kishore, Varsha and Wu, Felix and Weinberger, Kilian Q. and Artzi, Yoav",
        "BERTScore: Evaluating Text Generation with BERT",
        2020,
    ),
    "arXiv:1908.10084": Paper(
        "reimers2019sentencebert",
        "Reimers, Nils and Gurevych, Iryna",
        "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
        2019,
    ),
    "arXiv:2102.01454": Paper(
        "pillutla2021mauve",
        "Pillutla, Krishna and Swayamdipta, Swabha and Zellers, Rowan and Thickstun, John and "
        "Welleck, Sean and Choi, Yejin and Harchaoui, Zaid",
        "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence Frontiers",
        2021,
    ),
    "arXiv:2108.00946": Paper(
        "gal2021nada",
        "Gal, Rinon and Patashnik, Or and Maron, Haggai and Chechik, Gal and Cohen-Or, Daniel",
        "StyleGAN-NADA: CLIP-Guided Domain Adaptation of Image Generators",
        2021,
    ),
    "arXiv:2111.09509": Paper(
        "mccoy2023raven",
        "McCoy, R. Thomas and Smolensky, Paul and Linzen, Tal and Gao, Jianfeng and Celikyilmaz, "
        "Asli",
        "How Much Do Language Models Copy From Their Training Data? Evaluating Linguistic "
        "Novelty in Text Generation Using RAVEN",
        2023,
    ),
    "arXiv:2202.10261": Paper(
        "pizzi2022sscd",
        "Pizzi, Ed and Roy, Sreya Dutta and Ravindra, Sugosh Nagavara and Goyal, Priya and Douze, "
        "Matthijs",
        "A Self-Supervised Descriptor for Image Copy Detection",
        2022,
    ),
    "arXiv:2202.13587": Paper(
        "liu2022distinct",
        "Liu, Siyang and Sabour, Sahand and Zheng, Yinhe and Ke, Pei and Zhu, Xiaoyan and Huang, "
        "Minlie",
        "Rethinking and Refining the Distinct Metric",
        2022,
    ),
    "arXiv:2206.00364": Paper(
        "karras2022edm",
        "Karras, Tero and Aittala, Miika and Aila, Timo and Laine, Samuli",
        "Elucidating the Design Space of Diffusion-Based Generative Models",
        2022,
    ),
    "arXiv:2206.08549": Paper(
        "han2023rarity",
        "Han, Jiyeon and Choi, Hwanil and Choi, Yunjey and Kim, Junho and Ha, Jung-Woo and "
        "Choi, Jaesik",
        "Rarity Score: A New Metric to Evaluate the Uncommonness of Synthesized Images",
        2023,
    ),
    "arXiv:2302.04440": Paper(
        "jiralerspong2023fld",
        "Jiralerspong, Marco and Bose, Joey and Gemp, Ian and Qin, Chongli and Bachrach, Yoram "
        "and Gidel, Gauthier",
        "Feature Likelihood Divergence: Evaluating the Generalization of Generative Models Using "
        "Samples",
        2023,
    ),
    "arXiv:2304.07193": Paper(
        "oquab2023dinov2",
        "Oquab, Maxime and others",
        "DINOv2: Learning Robust Visual Features without Supervision",
        2023,
    ),
    "arXiv:2306.04675": Paper(
        "stein2023dgmeval",
        "Stein, George and others",
        "Exposing flaws of generative model evaluation metrics and their unfair treatment of "
        "diffusion models",
        2023,
    ),
    "arXiv:2210.02410": Paper(
        "friedman2023vendi",
        "Friedman, Dan and Dieng, Adji Bousso",
        "The Vendi Score: A Diversity Evaluation Metric for Machine Learning",
        2023,
    ),
    "arXiv:2401.09603": Paper(
        "jayasumana2024cmmd",
        "Jayasumana, Sadeep and Ramalingam, Srikumar and Veit, Andreas and Glasner, Daniel and "
        "Chakrabarti, Ayan and Kumar, Sanjiv",
        "Rethinking FID: Towards a Better Evaluation Metric for Image Generation",
        2024,
    ),
    "arXiv:2406.20052": Paper(
        "marchisio2024confusion",
        "Marchisio, Kelly and Ko, Wei-Yin and Bérard, Alexandre and Dehaze, Théo and Ruder, "
        "Sebastian",
        "Understanding and Mitigating Language Confusion in LLMs",
        2024,
    ),
    "arXiv:2605.06797": Paper(
        "berthet2026mind",
        "Berthet, Quentin and Wu, Yu-Han and Crepy, Clément and Elie, Romuald and Greff, Klaus "
        "and Sander, Michaël E.",
        "MIND: Monge Inception Distance for Generative Models Evaluation",
        2026,
    ),
}

NETWORKS: Mapping[str, str] = {  # by the start of an extractor's name
    "inception-v3": "arXiv:1512.00567",
    "vgg16": "arXiv:1409.1556",
    "dinov2": "arXiv:2304.07193",
    "clip": "arXiv:2103.00020",
    "lpips": "arXiv:1801.03924",
    "sentence-transformers": "arXiv:1908.10084",
    "char-ngrams": "arXiv:0902.2206",
    "sscd": "arXiv:2202.10261",
}


def network_paper(extractor: str) -> str | None:
    """The identifier of the paper behind an extractor, if it is one of ours."""
    return next((paper for name, paper in NETWORKS.items() if extractor.startswith(name)), None)
